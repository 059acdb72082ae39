// One element an invocation, where ranges are not aligned to four; a rule sees it in all lanes.
alias engine_Lanes = f32;
alias engine_Bits = u32;
fn engine_widen(lanes: engine_Lanes) -> vec4f {
  return vec4f(lanes);
}
fn engine_widen_bits(bits: engine_Bits) -> vec4u {
  return vec4u(bits);
}
fn engine_narrow(value: vec4f) -> engine_Lanes {
  return value.x;
}
