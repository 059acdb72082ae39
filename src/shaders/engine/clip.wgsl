const UNLIMITED = 3e38;
const NAN = 0x7fc00000u;

fn finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// The power of two that brings a norm of 8 or more to at least 4, and less than 8.
fn unit_for(norm: f32) -> f32 {
  return bitcast<f32>(0x80000000u - max(bitcast<u32>(norm) & 0x7f800000u, 0x40800000u));
}

// What gradients of this norm are multiplied by, one after the other, so that it stays within the limit: a power of two and
// the rest, whose product f32 may not hold.
fn clip_factor(norm: f32, limit: f32, flags: u32) -> vec2f {
  if (limit >= UNLIMITED) {
    return vec2f(1.0);
  }
  if (!finite(norm)) {
    // As in PyTorch and optax: an infinite norm leaves nothing of what is finite, and NaN spreads.
    let nan = (bitcast<u32>(norm) & 0x7fffffffu) > 0x7f800000u;
    return vec2f(1.0, bitcast<f32>(select(0u, NAN, nan)));
  }
  let divisor = norm + select(1e-6, 0.0, (flags & OPTAX_NORM) != 0u);
  if (divisor <= limit) {
    return vec2f(1.0);
  }
  let unit = unit_for(divisor);
  return vec2f(unit, limit / (unit * divisor));
}
