// What every rule's WGSL may use without writing it. Text in TypeScript, since reflection runs in the build, in Node and in
// pages alike.

/** The one binding of a rule. */
export const UNIFORM = "@group(0) @binding(0) var<uniform> scalars: Scalars;";

/** Keeps squares finite: they stop at 1e38. Compared by their bits, which order like the values, infinity included. */
export const BOUNDED = `fn bounded(square: vec4f) -> vec4f {
  return bitcast<vec4f>(min(bitcast<vec4u>(square), bitcast<vec4u>(vec4f(1e38))));
}`;
