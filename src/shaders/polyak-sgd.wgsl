// Polyak SGD: update = rate·γ·g with γ = min(γmax, c·(f − f*)/(‖g‖² + ε)) over all tensors, f the loss that is handed in.
struct Scalars {
  rate: f32,
  max_rate: f32,
  scale: f32, // c
  minimum: f32, // f*
  eps: f32,
  least_square: f32, // up to this ‖g‖² + ε there is no step
  least_gap: f32, // what f − f* counts at least
}

struct Sums {
  gradient: f32,
  small_gradient: f32,
  loss: f32,
}
struct Settled {
  step_size: f32, // γ
}

fn measure(parameter: vec4f, gradient: vec4f, settled: Settled) -> Sums {
  return Sums(squares(limited(gradient)), small_squares(gradient), 0.0);
}

fn settle(sums: Sums, settled: Settled) -> Settled {
  let norm = norm(sums.gradient, sums.small_gradient);
  let gap = max(sums.loss - scalars.minimum, scalars.least_gap);
  // Over the norm, whose square may leave f32.
  let divisor = norm + scalars.eps / norm;
  let moves = norm > 0.0 && divisor > scalars.least_square / norm;
  let is_finite = (bitcast<u32>(sums.loss) & 0x7f800000u) != 0x7f800000u;
  let step_size = clamp(scalars.scale * (gap / norm) / divisor, -1e38, scalars.max_rate);
  return Settled(select(0.0, step_size, moves && is_finite));
}

fn update(parameter: vec4f, gradient: vec4f, settled: Settled) -> vec4f {
  return scalars.rate * (settled.step_size * limited(gradient));
}
