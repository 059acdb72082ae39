// A line search for the strong Wolfe conditions (Nocedal & Wright 2006, algorithms 3.5 and 3.6), with the safeguards of
// PyTorch's LBFGS.

/** A function of one variable and its derivative, at a point. A value that is not finite is taken for too far out. */
export interface Sample {
  readonly t: number;
  readonly value: number;
  readonly slope: number;
}

export interface WolfeOptions {
  /** c₁ of f(t) ≤ f(0) + c₁·t·f′(0). */
  readonly decrease: number;
  /** c₂ of |f′(t)| ≤ c₂·|f′(0)|. */
  readonly curvature: number;
  /** Samples beside the first, at most. */
  readonly samples: number;
  /** Width of a bracket that is not cut further. */
  readonly width: number;
}

/** The minimum of the cubic through two samples, within bounds; their middle where there is none. */
function cubicMinimum(a: Sample, b: Sample, low: number, high: number): number {
  const [left, right] = a.t <= b.t ? [a, b] : [b, a];
  const chord = left.slope + right.slope - (3 * (left.value - right.value)) / (left.t - right.t);
  const root = Math.sqrt(chord ** 2 - left.slope * right.slope);
  const share = (right.slope + root - chord) / (right.slope - left.slope + 2 * root);
  const place = right.t - (right.t - left.t) * share;
  return Number.isFinite(place) ? Math.min(Math.max(place, low), high) : (low + high) / 2;
}

/**
 * Looks for a point where the function has fallen enough and its slope has, too.
 * @param sample works out the function further out or between
 * @param start at 0, with a negative slope
 * @param first the first point to try
 * @returns the best point found, which may be the start
 */
export async function strongWolfe(
  sample: (t: number) => Promise<Sample>,
  start: Sample,
  first: Sample,
  { decrease, curvature, samples, width }: WolfeOptions,
): Promise<Sample> {
  const tooHigh = ({ t, value }: Sample) => !(value <= start.value + decrease * t * start.slope);
  const isFlat = ({ slope }: Sample) => Math.abs(slope) <= -curvature * start.slope;
  let taken = 0;
  let before = start;
  let now = first;
  let bracket: readonly [Sample, Sample] | undefined;
  // Further out, until a minimum lies between.
  while (!bracket) {
    if (tooHigh(now) || (taken > 0 && now.value >= before.value)) bracket = [before, now];
    else if (isFlat(now)) return now;
    else if (now.slope >= 0) bracket = [now, before];
    else if (taken >= samples) return now;
    else {
      const next = cubicMinimum(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t);
      before = now;
      now = await sample(next);
      taken += 1;
    }
  }
  // Between, where the first is the lowest so far.
  let [low, high] = bracket;
  let stalled = false;
  for (; taken < samples && Math.abs(high.t - low.t) >= width; taken += 1) {
    const [least, most] = [Math.min(low.t, high.t), Math.max(low.t, high.t)];
    let t = cubicMinimum(low, high, least, most);
    const margin = 0.1 * (most - least);
    const near = Math.min(most - t, t - least) < margin;
    // Twice near the same end, or on it: a step away from it.
    if (near && (stalled || t >= most || t <= least)) {
      t = most - t < t - least ? most - margin : least + margin;
      stalled = false;
    } else stalled = near;
    const next = await sample(t);
    if (tooHigh(next) || next.value >= low.value) high = next;
    else {
      if (isFlat(next)) return next;
      if (next.slope * (high.t - low.t) >= 0) high = low;
      low = next;
    }
  }
  return low;
}
