import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { defaultRates } from "../../demo/train/defaults.js";
import { type RuleFactory, rules } from "../../src/index.js";
import { commonOptions } from "../../src/rule.js";

const path = join(import.meta.dirname, "../../README.md");

/** `lr 0.001`, without the common options at their common defaults. */
function defaults({ row }: RuleFactory): string {
  return Object.entries(row.options)
    .filter(([name, spec]) => {
      const common = (commonOptions as RuleFactory["row"]["options"])[name];
      return name === "lr" || spec.default !== common?.default;
    })
    .map(([name, spec]) => `${name} ${spec.default}`)
    .join(", ");
}

const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
const cell = (text: string) => text.replaceAll("|", "\\|");

const table = [
  "| rule | update | defaults | source |",
  "|---|---|---|---|",
  ...rules.map(
    (factory) =>
      `| \`${camel(factory.row.name)}\` | ${cell(factory.row.formula)} | ${defaults(factory)} | ${factory.row.source} |`,
  ),
].join("\n");

test("the README's table of rules is that of kernels.ts", async () => {
  const readme = readFileSync(path, "utf8");
  const section = /(<!-- rules: .* -->\n)[\s\S]*?(<!-- \/rules -->)/;
  expect(readme).toMatch(section);
  await expect(readme.replace(section, (_, open, close) => `${open}${table}\n${close}`)).toMatchFileSnapshot(
    path,
  );
});

test("the README states the default rates of train", () => {
  const [, section] = /\| optimizer \| default peak rate \|.*\n\|[-|]+\n((?:\|.*\n)+)/.exec(
    readFileSync(path, "utf8"),
  )!;
  const stated = [...section!.matchAll(/^\| (\S+) \| (\S+) \|/gm)];
  expect(stated.length).toBeGreaterThan(30);
  for (const [, name, rate] of stated) expect(`${defaultRates[name!]}`, name).toBe(rate);
});
