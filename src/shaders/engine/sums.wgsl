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
