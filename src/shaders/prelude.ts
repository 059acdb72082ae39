// What every rule's WGSL may use without writing it. Text in TypeScript, since reflection runs in the build, in Node and in
// pages alike.

/** The one binding of a rule. */
export const UNIFORM = "@group(0) @binding(0) var<uniform> scalars: Scalars;";

/** Functions by name. */
export const FUNCTIONS: Readonly<Record<string, string>> = {
  // The gradient as far as squares go, before all averages, so that their quotients stay those of the formula. At 2^62 the
  // square of three times as much is finite, too.
  limited: `fn limited(gradient: vec4f) -> vec4f {
  return clamp(gradient, vec4f(-0x1p62), vec4f(0x1p62));
}`,
  // Sums of squares stop at 1e38. Compared by their bits, which order like the values, infinity included.
  bounded: `fn bounded(square: vec4f) -> vec4f {
  return bitcast<vec4f>(min(bitcast<vec4u>(square), bitcast<vec4u>(vec4f(1e38))));
}`,
  // kept·average + weight·value with kept + weight = 1, from the end that is nearer. β and 1 − β are rounded apart: as two
  // factors they would move the fixed point.
  averaged: `fn averaged(average: vec4f, value: vec4f, kept: f32, weight: f32) -> vec4f {
  let near = weight < kept;
  return select(value, average, near) + select(-kept, weight, near) * (value - average);
}`,
};
