// Sums over strips with an element an invocation of a rule.
const engine_STRIP = 64u; // lanes of 256 bytes
// Lanes that hold no element as zeros, for sums.
fn engine_alone(value: vec4f) -> vec4f {
  return vec4f(value.x, 0.0, 0.0, 0.0);
}
fn engine_total(value: vec4f) -> f32 {
  return value.x;
}
