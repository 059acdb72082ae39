/** How a value goes over into another: along a straight line, or along half a period of a cosine. */
export type Interpolation = "linear" | "cosine";

/** The value between `from` and `to` at `progress` 0 to 1; at 1 it is `to` exactly. */
export function interpolate(kind: Interpolation, from: number, to: number, progress: number): number {
  if (kind === "linear") return progress === 1 ? to : from + (to - from) * progress;
  return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * progress));
}
