// Four elements an invocation.
alias engine_Lanes = vec4f;
alias engine_Bits = vec4u;
fn engine_widen(lanes: engine_Lanes) -> vec4f {
  return lanes;
}
fn engine_widen_bits(bits: engine_Bits) -> vec4u {
  return bits;
}
fn engine_narrow(value: vec4f) -> engine_Lanes {
  return value;
}
