// docs/f32.md says of every rule what f32 holds of it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as table from "../../src/kernels.js";

const page = readFileSync(join(import.meta.dirname, "../../docs/f32.md"), "utf8");
const rows = page.split("\n").filter((line) => line.startsWith("| `"));

test.each(Object.keys(table).filter((name) => name !== "rules"))("%s has a row", (name) => {
  const cells = rows.map((row) => row.split("|")[1]!.split(" and ")[0]!);
  expect(cells.filter((cell) => cell.includes(`\`${name}\``))).toHaveLength(1);
});
