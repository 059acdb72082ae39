/** A curve over the steps; several points may be averaged into one. */
export interface Curve {
  readonly title: string;
  readonly points: readonly { readonly step: number; readonly value: number }[];
  /** How a value is written on the axis. */
  readonly format: (value: number) => string;
  /** Where the axis begins; default the lowest value. */
  readonly from?: number;
  /** Where the axis ends; default the highest value. */
  readonly to?: number;
}

const WIDTH = 720;
const PANEL = 200;
const LEFT = 72;
const RIGHT = 16;
const TOP = 30;
const BOTTOM = 28;
/** Most points of a curve, about one for each unit of width. */
const POINTS = 600;

/**
 * Curves below each other over the same steps, as an SVG for light and dark backgrounds. Colours are attributes, which
 * every renderer understands; only what follows the reader's scheme is left to a style sheet.
 */
export function curvesSvg(curves: readonly Curve[], steps: number): string {
  const height = PANEL * curves.length;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#222">
<style>
  @media (prefers-color-scheme: dark) {
    .back { fill: #16181c; }
    text { fill: #ddd; }
    .grid { stroke: #3a3d44; }
    .curve { stroke: #6db3ff; }
    .point { fill: #6db3ff; }
  }
</style>
<rect class="back" width="${WIDTH}" height="${height}" fill="#fff"/>
${curves.map((curve, index) => panel(curve, steps, index * PANEL)).join("\n")}
</svg>
`;
}

function panel({ title, points, format, from, to }: Curve, steps: number, top: number): string {
  const drawn = average(points);
  const [low, high] = range(
    drawn.map(({ value }) => value),
    from,
    to,
  );
  const x = (step: number) => LEFT + ((WIDTH - LEFT - RIGHT) * step) / steps;
  const y = (value: number) => top + PANEL - BOTTOM - ((PANEL - TOP - BOTTOM) * (value - low)) / (high - low);
  const lines = [0, 1, 2, 3, 4].map((tick) => {
    const value = low + ((high - low) * tick) / 4;
    const at = y(value).toFixed(1);
    return `<line class="grid" stroke="#ddd" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>
<text x="${LEFT - 8}" y="${at}" dy="4" text-anchor="end">${format(value)}</text>`;
  });
  const path = drawn.map(({ step, value }) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const dots = drawn.length > 40 ? [] : drawn;
  return `<text font-weight="600" x="${LEFT}" y="${top + 18}">${title}</text>
${lines.join("\n")}
<text x="${LEFT}" y="${top + PANEL - 8}" text-anchor="middle">0</text>
<text x="${WIDTH - RIGHT}" y="${top + PANEL - 8}" text-anchor="end">${steps} steps</text>
<polyline class="curve" fill="none" stroke="#0b62c4" stroke-width="1.5" stroke-linejoin="round" points="${path}"/>
${dots.map(({ step, value }) => `<circle class="point" fill="#0b62c4" cx="${x(step).toFixed(1)}" cy="${y(value).toFixed(1)}" r="3"/>`).join("\n")}`;
}

/** Means over equal numbers of points, where there are too many to draw. */
function average(points: Curve["points"]): { step: number; value: number }[] {
  const size = Math.ceil(points.length / POINTS);
  const means: { step: number; value: number }[] = [];
  for (let start = 0; start < points.length; start += size) {
    const bin = points.slice(start, start + size);
    means.push({
      step: bin.reduce((sum, { step }) => sum + step, 0) / bin.length,
      value: bin.reduce((sum, { value }) => sum + value, 0) / bin.length,
    });
  }
  return means;
}

/** Ends of the axis, never equal. */
function range(
  values: readonly number[],
  from = Math.min(...values),
  to = Math.max(...values),
): [number, number] {
  return from < to ? [from, to] : [from - 0.1, from];
}
