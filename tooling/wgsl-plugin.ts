import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Plugin } from "vite";
import { OptimError } from "../src/errors.ts";
import { reflectRule } from "../src/reflect.ts";
import type { RuleShader } from "../src/rule.js";
import { reflectConstants, reflectStructs } from "./reflect-structs.ts";

/**
 * `import adam from "./adam.wgsl"` gives the rule's text and what reflection reads from it; `?engine` a shader of the
 * engine's with the layouts of its structs and its whole numbers. `?raw` is left to Vite. A build leaves comments
 * and spaces out, and of the engine's shaders, which stand behind a rule's text, lines too.
 */
export function wgsl(): Plugin {
  let building = false;
  let ruleOf = (rule: RuleShader) => rule;
  return {
    name: "webgpu-optim:wgsl",
    enforce: "pre",
    configResolved({ command }) {
      building = command === "build";
      // Line by line, so that a compiler's messages have the file's numbers.
      if (building)
        ruleOf = (rule) => ({ ...rule, code: rule.code.split("\n").map(withoutSpace).join("\n") });
    },
    async load(id) {
      const [path = "", query] = id.replace(/^\0/, "").split("?");
      if (!path.endsWith(".wgsl") || (query !== undefined && query !== "engine")) return null;
      this.addWatchFile(path);
      const text = await readFile(path, "utf8");
      const code = building ? withoutComments(text) : text;
      try {
        const module =
          query === "engine"
            ? constantsOf({
                code: building ? withoutSpace(code) : code,
                structs: reflectStructs(code),
                constants: reflectConstants(code),
              })
            : `export default ${JSON.stringify(ruleOf(reflectRule(basename(path), code)))};`;
        return { code: module, map: null, moduleSideEffects: false };
      } catch (error) {
        if (error instanceof OptimError) return this.error({ message: error.message, id: path });
        throw error;
      }
    },
  };
}

/** A module of constants: bundles leave out what nobody reads. */
const constantsOf = (values: Readonly<Record<string, unknown>>) =>
  Object.entries(values)
    .map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};`)
    .join("\n");

const withoutComments = (text: string) => text.replace(/[ \t]*\/\/.*$/gm, "");

/** Two operators side by side stay apart: they may make another. */
const withoutSpace = (text: string) =>
  text
    .replace(/\s+/g, " ")
    .replace(/ ?([{}();,:]) ?/g, "$1")
    .replace(/(?<=[\w)\]]) ([^\w\s()[\]]+) (?=[\w(])/g, "$1")
    .trim();
