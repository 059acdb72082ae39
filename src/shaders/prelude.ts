// What every rule's WGSL may use without writing it. Text in TypeScript, since reflection runs in the build, in Node and in
// pages alike.

/** The one binding of a rule. */
export const UNIFORM = "@group(0) @binding(0) var<uniform> scalars: Scalars;";

/** The constant that tells whether an average may be kept by three quarters or less. */
export const QUICK = "quick_averages";

/** Functions by name. Plain text: what is put together, bundles take for code that runs, and keep. */
export const FUNCTIONS: Readonly<Record<string, string>> = {
  // The gradient as far as squares go, before all averages, so that their quotients stay those of the formula: at 2^62 the
  // square of three times as much is finite, too. By its bits, which cost less than a clamp where NaN must be minded.
  limited: `fn limited(gradient: vec4f) -> vec4f {
  let bits = bitcast<vec4i>(gradient);
  let magnitude = bits & vec4i(0x7fffffff);
  return bitcast<vec4f>((bits ^ magnitude) | min(magnitude, vec4i(0x5e800000)));
}`,
  // Sums of squares stop at 1e38. Compared by their bits, which order like the values, infinity included.
  bounded: `fn bounded(square: vec4f) -> vec4f {
  return bitcast<vec4f>(min(bitcast<vec4u>(square), bitcast<vec4u>(vec4f(1e38))));
}`,
  // kept·average + weight·value with kept + weight = 1, from the nearer end: β and 1 − β are rounded apart, and as two factors
  // they would move the fixed point. Only where the ends are further apart than that end from zero do two factors lose less.
  // Of slow averages the last line is all; where there are no others, the rest is compiled away.
  averaged: `override quick_averages: bool = false;
fn averaged(average: vec4f, value: vec4f, kept: f32, weight: f32) -> vec4f {
  let difference = value - average;
  if (quick_averages && kept <= 0.75) {
    return select(
      select(average + weight * difference, value - kept * difference, weight > kept),
      kept * average + weight * value,
      abs(difference) > abs(select(average, value, weight > kept)),
    );
  }
  return average + weight * difference;
}`,
  // The same for weights of a step of its own and for other passes, which no constant tells.
  blended: `fn blended(average: vec4f, value: vec4f, kept: f32, weight: f32) -> vec4f {
  let difference = value - average;
  return select(
    select(average + weight * difference, value - kept * difference, weight > kept),
    kept * average + weight * value,
    abs(difference) > abs(select(average, value, weight > kept)),
  );
}`,
  // Norms over a tensor from two sums of squares, in whichever no square is lost: x² of x up to 2^83, and of x below 2^-10.
  squares: `fn squares(value: vec4f) -> f32 {
  let lowered = 0x1p-20f * value;
  return dot(lowered, lowered);
}`,
  small_squares: `fn small_squares(value: vec4f) -> f32 {
  let raised = 0x1p64f * value;
  return dot(raised, raised);
}`,
  norm: `fn norm(squares: f32, small: f32) -> f32 {
  return select(0x1p20f * sqrt(squares), 0x1p-64f * sqrt(small), squares < 0x1p-60f);
}`,
};
