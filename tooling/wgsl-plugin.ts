import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Plugin } from "vite";
import { OptimError } from "../src/errors.ts";
import { reflectRule } from "../src/reflect.ts";
import { reflectStructs } from "./reflect-structs.ts";

/**
 * `import adam from "./adam.wgsl"` gives the rule's text and what reflection reads from it; `?engine` a shader of the
 * engine's with the layouts of its structs. `?raw` is left to Vite. A build leaves comments out.
 */
export function wgsl(): Plugin {
  let building = false;
  return {
    name: "webgpu-optim:wgsl",
    enforce: "pre",
    configResolved({ command }) {
      building = command === "build";
    },
    async load(id) {
      const [path = "", query] = id.replace(/^\0/, "").split("?");
      if (!path.endsWith(".wgsl") || (query !== undefined && query !== "engine")) return null;
      this.addWatchFile(path);
      const text = await readFile(path, "utf8");
      const code = building ? withoutComments(text) : text;
      try {
        const content =
          query === "engine" ? { code, structs: reflectStructs(code) } : reflectRule(basename(path), code);
        return { code: `export default ${JSON.stringify(content)};`, map: null, moduleSideEffects: false };
      } catch (error) {
        if (error instanceof OptimError) return this.error({ message: error.message, id: path });
        throw error;
      }
    },
  };
}

/** The lines stay, so that a compiler's messages have the file's numbers. */
const withoutComments = (text: string) => text.replace(/[ \t]*\/\/.*$/gm, "");
