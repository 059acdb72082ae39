import type { BenchRow } from "./events.js";

/** What a step costs: milliseconds whatever there is to step, and milliseconds a parameter. */
export interface Cost {
  readonly step: number;
  readonly parameter: number;
}

/**
 * The line through times over parameters that leaves the least squares of relative errors.
 * @returns undefined for fewer than three sizes
 */
export function fitCost(rows: readonly Pick<BenchRow, "parameters" | "medianMs">[]): Cost | undefined {
  if (new Set(rows.map(({ parameters }) => parameters)).size < 3) return undefined;
  let [w, x, y, xx, xy] = [0, 0, 0, 0, 0];
  for (const { parameters, medianMs } of rows) {
    const weight = 1 / medianMs ** 2;
    w += weight;
    x += weight * parameters;
    y += weight * medianMs;
    xx += weight * parameters ** 2;
    xy += weight * parameters * medianMs;
  }
  const parameter = (w * xy - x * y) / (w * xx - x * x);
  return { step: (y - parameter * x) / w, parameter };
}
