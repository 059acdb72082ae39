import type { VectorFile } from "../../src/conformance/index.js";

// Addresses only: 3 MB of figures are loaded when a run begins, and are no part of the page's script.
const addresses = import.meta.glob<string>("../../test/vectors/*/{optimizers,schedules}/*.json", {
  query: "?url",
  import: "default",
  eager: true,
});

/**
 * The recorded runs that this project keeps.
 * @throws Error when one cannot be loaded
 */
export const loadVectors = (): Promise<VectorFile[]> =>
  Promise.all(
    Object.entries(addresses).map(async ([path, address]) => {
      const file = path.replace(/^.*\/vectors\//, "");
      const response = await fetch(address);
      if (!response.ok) throw new Error(`${file} could not be loaded: status ${response.status}`);
      return { file, text: await response.text() };
    }),
  );
