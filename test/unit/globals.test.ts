// The library runs where WebGPU's globals are missing, as in Node: it names none.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { transformSync } from "esbuild";
import ts from "typescript";
import { expect, test } from "vitest";

const folder = join(import.meta.dirname, "../../src");

/** Globals of WebGPU that a module reads: types are gone, and texts are none. */
function globalsOf(code: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const { parent } = node;
    const isProperty = parent && ts.isPropertyAccessExpression(parent) && parent.name === node;
    if (ts.isIdentifier(node) && !isProperty && /^GPU[A-Z]/.test(node.text)) found.push(node.text);
    ts.forEachChild(node, visit);
  };
  const { code: plain } = transformSync(code, { loader: "ts" });
  visit(ts.createSourceFile("module.js", plain, ts.ScriptTarget.Latest, true));
  return found;
}

test("no module of src reads a global of WebGPU", () => {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".d.ts"),
  );
  expect(files.length).toBeGreaterThan(200);
  const reading = files.flatMap((file) =>
    globalsOf(readFileSync(join(folder, file), "utf8")).map((name) => `${file}: ${name}`),
  );
  expect(reading).toEqual([]);
});

test("such a global would be found, in templates too, and a type or a text would not", () => {
  expect(globalsOf("const a: GPUBuffer = b; const c = 'GPUBufferUsage'; d.GPUMapMode;")).toEqual([]);
  const template = `\`$\{GPUBufferUsage.STORAGE | b.usage}\``;
  expect(globalsOf(`export const a = (b: GPUBuffer) => ${template};`)).toEqual(["GPUBufferUsage"]);
  expect(globalsOf("if (a instanceof GPUBuffer) GPUMapMode[b]();")).toEqual(["GPUBuffer", "GPUMapMode"]);
});
