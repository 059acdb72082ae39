// Pictures are also drawn by what knows no custom properties, or no style sheets at all: README viewers, converters.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { lrRangeTest } from "../../src/index.js";
import { curvesSvg } from "../../tooling/curves.js";

const COLOUR = /^(#[0-9a-f]{3}|#[0-9a-f]{6})$/;

function rangeTestPicture(mode: "exponential" | "linear"): string {
  const range = lrRangeTest({ start: 1e-4, end: 1, steps: 60, mode });
  for (let s = 0; s < 60; s++) range.report(1 / (1 + 100 * range.schedule(s)) + range.schedule(s));
  expect(range.suggestion).toBeDefined();
  return range.toSVG();
}

function curves(count: number): string {
  const points = Array.from({ length: count }, (_, step) => ({ step, value: 1 / (1 + step) }));
  return curvesSvg([{ title: "Loss", points, format: (value) => value.toFixed(2) }], count);
}

/** Tag and attributes of each element. */
const elementsOf = (svg: string) =>
  [...svg.matchAll(/<([a-z]+)((?: [a-z][a-zA-Z0-9-]*="[^"]*")*)\/?>/g)].map(([, tag, attributes = ""]) => ({
    tag,
    attributes: Object.fromEntries(
      [...attributes.matchAll(/ ([a-z][a-zA-Z0-9-]*)="([^"]*)"/g)].map(([, name = "", value = ""]) => [
        name,
        value,
      ]),
    ) as Readonly<Record<string, string | undefined>>,
  }));

test.each([
  ["the curves of a training, with dots", curves(10)],
  ["the curves of a training, without dots", curves(700)],
  ["a range test", rangeTestPicture("exponential")],
  ["a linear range test", rangeTestPicture("linear")],
  ["an empty range test", lrRangeTest({ steps: 10 }).toSVG()],
  ["the range test of the docs", readFileSync("docs/lr-range-test.svg", "utf8")],
])("each colour is a literal, without the style sheet: %s", (_, svg) => {
  expect(svg).not.toMatch(/var\(|--/);
  const [style = ""] = /<style>[\s\S]*<\/style>/.exec(svg) ?? [];
  // The style sheet changes colours for the dark scheme, and does nothing else.
  expect(style).toMatch(
    /^<style>\s*@media \(prefers-color-scheme: dark\) \{(?:[^{}]*\{[^{}]*\})*\s*\}\s*<\/style>$/,
  );
  const declarations = [...style.matchAll(/\{ ([^{}]*) \}/g)].flatMap(([, body = ""]) => body.split(/;\s*/));
  for (const declaration of declarations.filter((text) => text !== ""))
    expect(declaration).toMatch(/^(fill|stroke): #[0-9a-f]{3,6}$/);

  const [root, ...elements] = elementsOf(svg.replace(style, ""));
  expect(root!.attributes.fill).toMatch(COLOUR);
  const drawn = new Set<string>();
  for (const { tag, attributes } of elements) {
    drawn.add(tag!);
    const { fill = root!.attributes.fill, stroke = "none" } = attributes;
    const what = `${tag} ${JSON.stringify(attributes)}`;
    const lined = tag === "line" || tag === "polyline";
    expect(stroke, what).toMatch(lined ? COLOUR : /^none$/);
    expect(fill, what).toMatch(tag === "polyline" ? /^none$/ : COLOUR);
  }
  for (const tag of ["line", "text", "polyline"]) expect(drawn).toContain(tag);
});
