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

// Sums of leaves in blocks, so that no chain of additions is long, from the last to the first: a tail joins the strip before
// it, as where padding puts both into one. The first engine_norms sums are norms: the root of Σx².
fn engine_summed(first: u32, end: u32) -> engine_Part {
  var binades = vec2u(0x3f800000u);
  var total: engine_Part;
  for (var again = true; again; ) {
    again = false;
    total = engine_Part();
    var largest = vec2u();
    let scale = vec2f(engine_reciprocal(binades.x), engine_reciprocal(binades.y));
    for (var start = first; start < end; start += 32u) {
      var sum = engine_Part();
      for (var k = min(start + 32u, end); k > start; k--) {
        var term = engine_leaf(k - 1u);
        let scaled = scale * term.xy;
        largest = max(largest, bitcast<vec2u>(term.xy));
        if (engine_norms > 0u) {
          term.x = scaled.x * scaled.x;
        }
        if (engine_norms > 1u) {
          term.y = scaled.y * scaled.y;
        }
        sum += term;
      }
      total += sum;
    }
    // Rare: once more, of norms divided by the power of two below the largest.
    let apart = vec2<bool>(engine_norms > 0u && !engine_plain(total.x), engine_norms > 1u && !engine_plain(total.y));
    let next = select(binades, engine_binade(largest), apart);
    if (engine_norms > 0u) {
      total.x = engine_norm(total.x, binades.x, largest.x);
    }
    if (engine_norms > 1u) {
      total.y = engine_norm(total.y, binades.y, largest.y);
    }
    again = any(next != binades);
    binades = next;
  }
  return total;
}
