import type { Subject } from "../../../src/conformance/index.js";

/** Other libraries that can be judged, each loaded only when asked for. */
export const libraries: Readonly<Record<string, () => Promise<Subject>>> = {
  tfjs: async () => (await import("./tfjs.js")).tfjs(),
  "jax-js": async () => (await import("./jax-js.js")).jaxJs(),
};
