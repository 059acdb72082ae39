// Four elements an invocation.
alias engine_Lanes = vec4f;
alias engine_Bits = vec4u;
const engine_STRIP = 16u; // lanes of 256 bytes
fn engine_widen(lanes: engine_Lanes) -> vec4f {
  return lanes;
}
fn engine_widen_bits(bits: engine_Bits) -> vec4u {
  return bits;
}
fn engine_narrow(value: vec4f) -> engine_Lanes {
  return value;
}
// Lanes that hold no element as zeros, for sums.
fn engine_alone(value: vec4f) -> vec4f {
  return value;
}
// The sum of the elements, in their order: a tail by itself adds up to the same bits.
fn engine_total(value: vec4f) -> f32 {
  return ((value.x + value.y) + value.z) + value.w;
}
