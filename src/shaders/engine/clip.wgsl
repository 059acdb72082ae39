const UNLIMITED = 3e38;
const NAN = 0x7fc00000u;

fn finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// What gradients of this norm are multiplied by, so that it stays within the limit.
fn clip_factor(norm: f32, limit: f32, flags: u32) -> f32 {
  if (limit >= UNLIMITED) {
    return 1.0;
  }
  if (!finite(norm)) {
    // As in PyTorch and optax: an infinite norm leaves nothing of what is finite, and NaN spreads.
    return bitcast<f32>(select(0u, NAN, (bitcast<u32>(norm) & 0x7fffffffu) > 0x7f800000u));
  }
  if ((flags & OPTAX_NORM) != 0u) {
    return select(limit / norm, 1.0, norm < limit);
  }
  return min(1.0, limit / (norm + 1e-6));
}
