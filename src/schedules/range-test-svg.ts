/** Rates so far, ascending, and the smoothed loss at each. */
export interface RangeTestCurve {
  readonly rates: readonly number[];
  readonly losses: readonly number[];
}

const width = 720;
const height = 360;
const left = 64;
const right = 24;
const top = 32;
const bottom = 56;

/** How lines and texts of the marks look, beside colours of the dark scheme. */
const marks = {
  minimum: { line: 'stroke="#222" stroke-dasharray="4 4"', text: "" },
  suggestion: { line: 'stroke="#b3400d" stroke-width="1.5"', text: ' fill="#b3400d" font-weight="600"' },
};

/**
 * The curve of a range test, with a mark at the suggestion. The axis of the rates is logarithmic for such a sweep. Colours
 * are attributes, which every renderer understands; only what follows the reader's scheme is left to a style sheet.
 */
export function rangeTestSVG(
  { rates, losses }: RangeTestCurve,
  suggestion: { readonly rate: number; readonly minimum: number } | undefined,
  mode: "exponential" | "linear",
): string {
  const place = mode === "exponential" ? Math.log10 : (rate: number) => rate;
  const first = place(rates[0] ?? 1);
  const last = place(rates.at(-1) ?? 10);
  const x = (rate: number) => left + ((width - left - right) * (place(rate) - first)) / (last - first || 1);
  const lowest = losses.length ? Math.min(...losses) : 0;
  // The divergence at the end would press the rest flat.
  const highest = Math.min(Math.max(...losses, lowest), 1.2 * Math.max(losses[0] ?? 1, lowest));
  const range = highest - lowest || 1;
  const y = (loss: number) =>
    height - bottom - ((height - top - bottom) * (Math.min(loss, highest) - lowest)) / range;
  const at = (value: number) => value.toFixed(1);

  const rateTicks = mode === "exponential" ? decades(first, last) : fifths(first, last);
  const lossTicks = fifths(lowest, lowest + range);
  const curve = losses.map((loss, i) => `${at(x(rates[i]!))},${at(y(loss))}`).join(" ");
  const mark = (rate: number, style: keyof typeof marks, text: string, anchor: string) => `
<line class="${style}" ${marks[style].line} x1="${at(x(rate))}" x2="${at(x(rate))}" y1="${top}" y2="${height - bottom}"/>
<text class="${style}"${marks[style].text} x="${at(x(rate) + (anchor === "end" ? -6 : 6))}" y="${top - 10}" text-anchor="${anchor}">${text}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" class="lr-range-test" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#222" role="img" aria-label="Loss over learning rate">
<style>
  @media (prefers-color-scheme: dark) {
    .lr-range-test text { fill: #ddd; }
    .lr-range-test .grid { stroke: #3a3d44; }
    .lr-range-test .curve { stroke: #6db3ff; }
    .lr-range-test line.minimum { stroke: #ddd; }
    .lr-range-test line.suggestion { stroke: #ffa36b; }
    .lr-range-test text.suggestion { fill: #ffa36b; }
  }
</style>
${rateTicks
  .map(
    (
      rate,
    ) => `<line class="grid" stroke="#ddd" x1="${at(x(rate))}" x2="${at(x(rate))}" y1="${top}" y2="${height - bottom}"/>
<text x="${at(x(rate))}" y="${height - bottom + 18}" text-anchor="middle">${label(rate)}</text>`,
  )
  .join("\n")}
${lossTicks
  .map(
    (
      loss,
    ) => `<line class="grid" stroke="#ddd" x1="${left}" x2="${width - right}" y1="${at(y(loss))}" y2="${at(y(loss))}"/>
<text x="${left - 8}" y="${at(y(loss))}" dy="4" text-anchor="end">${label(loss)}</text>`,
  )
  .join("\n")}
<text x="${(left + width - right) / 2}" y="${height - 12}" text-anchor="middle">learning rate${mode === "exponential" ? " (log scale)" : ""}</text>
<text x="14" y="${(top + height - bottom) / 2}" text-anchor="middle" transform="rotate(-90 14 ${(top + height - bottom) / 2})">smoothed training loss</text>
<polyline class="curve" fill="none" stroke="#0b62c4" stroke-width="2" stroke-linejoin="round" points="${curve}"/>${
    suggestion
      ? mark(suggestion.minimum, "minimum", `lowest ${label(suggestion.minimum)}`, "start") +
        mark(suggestion.rate, "suggestion", `proposed ${label(suggestion.rate)}`, "end")
      : ""
  }
</svg>
`;
}

const label = (value: number): string => String(Number(value.toPrecision(3)));

/** Powers of ten between two logarithms. */
const decades = (first: number, last: number): number[] =>
  Array.from(
    { length: Math.max(0, Math.floor(last) - Math.ceil(first) + 1) },
    (_, i) => 10 ** (Math.ceil(first) + i),
  );

const fifths = (from: number, to: number): number[] =>
  [0, 1, 2, 3, 4, 5].map((i) => from + ((to - from) * i) / 5);
