// Norms that neither overflow nor underflow in between. Where the plain Σx² leaves f32, it is taken once more of x times a
// power of two. What is rare stands in a loop that few enter: a software adapter runs all that is behind a condition.
const engine_LEAST = 0x0f800000u; // 2^-96: the squares of a strip that underflow are less than half an ULP of it
const engine_MOST = 0x7f000000u; // 2^127
const engine_LARGEST = 0x1.fffffep+127f; // to which larger norms are lowered

// By its bits: WGSL may take NaN and infinity in a float for impossible.
fn engine_plain(squares: f32) -> bool {
  return bitcast<u32>(squares) - engine_LEAST <= engine_MOST - engine_LEAST;
}

// The bits of the powers of two below magnitudes; at most 2^126, so that f32 holds their reciprocals.
fn engine_binade(magnitudes: vec2u) -> vec2u {
  return min(magnitudes & vec2u(0x7f800000u), vec2u(0x7e800000u));
}
fn engine_reciprocal(binade: u32) -> f32 {
  return bitcast<f32>(0x7f000000u - binade);
}

// √squares times a power of two; where the largest value is not finite, that.
fn engine_norm(squares: f32, binade: u32, largest: u32) -> f32 {
  let most = min(engine_reciprocal(binade), 1.0) * engine_LARGEST;
  return select(min(sqrt(squares), most) * bitcast<f32>(binade), bitcast<f32>(largest), largest >= 0x7f800000u);
}
