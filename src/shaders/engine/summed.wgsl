// Norms of parameters and updates of a strip, which leave f32 no sooner than they do.
const engine_LANE = 64u / engine_STRIP;
fn engine_leaf(k: u32) -> vec2f {
  return vec2f(abs(engine_widen(engine_parameters[k / engine_LANE])[k % engine_LANE]), 0.0);
}
// Of Σθ² of a strip; θ is read once more where that is not plain, and where the step was skipped.
fn engine_parameter_norm(squares: f32, begin: u32, end: u32) -> f32 {
  let apart = !engine_plain(squares);
  let first = engine_LANE * (engine_chunk.first + begin);
  return select(sqrt(squares), engine_summed(first, select(0u, first + engine_LANE * (end - begin), apart)).x, apart);
}
// Of ΣΔ², and of Δ times 2^-76 and 2^76.
fn engine_update_norm(squares: f32, lowered: f32, raised: f32) -> f32 {
  if (bitcast<u32>(squares) > engine_MOST) {
    return engine_norm(lowered, 0x65800000u, bitcast<u32>(lowered));
  }
  return select(sqrt(squares), engine_norm(raised, 0x19800000u, 0u), bitcast<u32>(squares) < engine_LEAST);
}
