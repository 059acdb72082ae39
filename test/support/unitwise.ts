// Guards by unit in float64, from the papers: Brock et al. 2021, eq. 3, and Yong et al. 2020, eq. 1.
import type { Units } from "../../src/engine/options/guard-options.js";

/** Elements of each unit: those with one index in the dimension that counts outputs. */
export function unitsOf(shape: readonly number[], which: Units): number[][] {
  const count = shape.reduce((a, b) => a * b, 1);
  const units: number[][] = [];
  for (let element = 0; element < count; element += 1) {
    // Row-major: the last index runs fastest.
    let rest = element;
    const index = [...shape];
    for (let d = shape.length - 1; d >= 0; d -= 1) {
      index[d] = rest % shape[d]!;
      rest = (rest - index[d]!) / shape[d]!;
    }
    const unit = which === "first" ? index[0]! : index.at(-1)!;
    units[unit] ??= [];
    units[unit].push(element);
  }
  return units;
}

const norm = (values: readonly number[]): number => {
  const most = Math.max(...values.map(Math.abs));
  return most === 0 ? 0 : most * Math.sqrt(values.reduce((sum, x) => sum + (x / most) ** 2, 0));
};

/** g to at most λ·max(‖θ‖, ε), by unit; of what is a vector but for dimensions of 1, all is one. */
export function adaptiveClip(
  gradient: readonly number[],
  parameter: readonly number[],
  shape: readonly number[],
  { clipping, eps = 1e-3, units = "first" }: { clipping: number; eps?: number; units?: Units },
): number[] {
  const all = gradient.map((_, i) => i);
  const next = [...gradient];
  for (const unit of shape.filter((n) => n > 1).length > 1 ? unitsOf(shape, units) : [all]) {
    const limit = clipping * Math.max(norm(unit.map((i) => parameter[i]!)), eps);
    const own = norm(unit.map((i) => gradient[i]!));
    for (const i of own > limit ? unit : []) next[i] = gradient[i]! * (limit / own);
  }
  return next;
}

/** g minus its mean, by unit, of two dimensions and more. */
export function centralize(
  gradient: readonly number[],
  shape: readonly number[],
  { units = "first" }: { units?: Units } = {},
): number[] {
  const next = [...gradient];
  for (const unit of shape.length > 1 ? unitsOf(shape, units) : []) {
    const mean = unit.reduce((sum, i) => sum + gradient[i]!, 0) / unit.length;
    for (const i of unit) next[i] = gradient[i]! - mean;
  }
  return next;
}
