// docs/rules.md shows how a rule was added, by the lines that are in the files.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/rules.md"), "utf8");

test("the diff of a rule is of this project: a shader, a row, a reference, and their lines in two tables", () => {
  const diff = /```diff\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const files = diff.split(/^--- .*\n/m).slice(1);
  expect(files.map((part) => /^\+\+\+ b\/(.*)$/m.exec(part)?.[1])).toEqual([
    "src/shaders/sign-lion.wgsl",
    "src/rules/sign.ts",
    "src/kernels.ts",
    "src/reference/sign.ts",
    "src/reference/rules.ts",
  ]);
  for (const part of files) {
    const file = /^\+\+\+ b\/(.*)$/m.exec(part)![1]!;
    expect(existsSync(join(root, file)), file).toBe(true);
    const text = readFileSync(join(root, file), "utf8").split("\n");
    const added = [...part.matchAll(/^\+(?!\+\+)(.*)$/gm)].map(([, line]) => line!);
    expect(added.length, file).toBeGreaterThan(0);
    let at = -1;
    for (const line of added) {
      at = text.indexOf(line, at + 1);
      expect(at, `${file}: ${line}`).toBeGreaterThanOrEqual(0);
    }
  }
});
