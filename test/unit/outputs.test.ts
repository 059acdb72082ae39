// Where the runner may write: found out before a run, in words of its own.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { requireWritable, requireWritableFolder } from "../../tooling/check-options.js";

const scratch = mkdtempSync(join(tmpdir(), "webgpu-optim-outputs-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const at = (...parts: string[]) => join(scratch, ...parts);

test("folders are made, and nothing is left in them", () => {
  requireWritable("json", at("a/b/c.json"));
  expect(existsSync(at("a/b"))).toBe(true);
  expect(existsSync(at("a/b/c.json"))).toBe(false);
  requireWritableFolder("out", at("d/e"));
  requireWritableFolder("out", at("d/e"));
  expect(existsSync(at("d/e"))).toBe(true);
});

test("what is there stays as it is", () => {
  writeFileSync(at("kept.json"), "kept");
  requireWritable("json", at("kept.json"));
  expect(readFileSync(at("kept.json"), "utf8")).toBe("kept");
});

test.each([
  ["a folder as a file", () => requireWritable("json", scratch), "it is a folder"],
  ["a file as a folder", () => requireWritableFolder("out", at("kept.json")), "a part of its path is a file"],
  ["below a file", () => requireWritable("json", at("kept.json/x/y.json")), "a part of its path is a file"],
])("%s is refused", (_, attempt, reason) => {
  expect(attempt).toThrow(new RegExp(`^Option '--(json|out)': .* cannot be written: ${reason}\\.$`));
});

test.skipIf(process.platform !== "linux")("what can never be made is refused, and at once", () => {
  for (const attempt of [
    () => requireWritableFolder("out", "/proc/none/below"),
    () => requireWritableFolder("out", "/proc"),
    () => requireWritable("json", "/proc/none/below/file.json"),
  ])
    expect(attempt).toThrow("its folder cannot be made");
});

test.skipIf(process.getuid?.() === 0)("a folder of others is refused", () => {
  mkdirSync(at("locked"), { mode: 0o500 });
  expect(() => requireWritableFolder("out", at("locked"))).toThrow("this user may not write there");
  expect(() => requireWritable("json", at("locked/x.json"))).toThrow("this user may not write there");
  chmodSync(at("locked"), 0o700);
});
