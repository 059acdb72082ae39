import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Plugin } from "vite";
import { OptimError } from "../src/errors.ts";
import { reflectRule } from "../src/reflect.ts";

/** `import adam from "./adam.wgsl"` gives the rule's text and what reflection reads from it. `?raw` is left to Vite. */
export function wgsl(): Plugin {
  return {
    name: "webgpu-optim:wgsl",
    enforce: "pre",
    async load(id) {
      if (!id.endsWith(".wgsl")) return null;
      const file = id.replace(/^\0/, "");
      this.addWatchFile(file);
      const code = await readFile(file, "utf8");
      try {
        return {
          code: `export default ${JSON.stringify(reflectRule(basename(file), code))};`,
          map: null,
          moduleSideEffects: false,
        };
      } catch (error) {
        if (error instanceof OptimError) return this.error({ message: error.message, id: file });
        throw error;
      }
    },
  };
}
