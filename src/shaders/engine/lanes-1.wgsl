// One element an invocation, where ranges are not aligned to four; a rule sees it in all lanes.
alias engine_Lanes = f32;
alias engine_Bits = u32;
const engine_STRIP = 64u; // lanes of 256 bytes
fn engine_widen(lanes: engine_Lanes) -> vec4f {
  return vec4f(lanes);
}
fn engine_widen_bits(bits: engine_Bits) -> vec4u {
  return vec4u(bits);
}
fn engine_narrow(value: vec4f) -> engine_Lanes {
  return value.x;
}
// Lanes that hold no element as zeros, for sums.
fn engine_alone(value: vec4f) -> vec4f {
  return vec4f(value.x, 0.0, 0.0, 0.0);
}
fn engine_total(value: vec4f) -> f32 {
  return value.x;
}
