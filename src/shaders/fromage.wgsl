// Fromage: θ ← (θ − η·g‖θ‖/‖g‖)/√(1 + η²) by tensor, update = rate·trust·g + shrink·θ.
struct Scalars {
  rate: f32, // η/√(1 + η²)
  shrink: f32, // 1 − 1/√(1 + η²)
  min_norm: f32,
}

struct Sums {
  parameter: f32,
  small_parameter: f32,
  gradient: f32,
  small_gradient: f32,
}
struct Settled {
  trust: f32,
}

fn measure(parameter: vec4f, gradient: vec4f, settled: Settled) -> Sums {
  return Sums(squares(parameter), small_squares(parameter), squares(limited(gradient)), small_squares(gradient));
}

fn settle(sums: Sums, settled: Settled) -> Settled {
  let parameter = max(norm(sums.parameter, sums.small_parameter), scalars.min_norm);
  let gradient = max(norm(sums.gradient, sums.small_gradient), scalars.min_norm);
  return Settled(select(1.0, min(parameter / gradient, 1e38), parameter > 0.0 && gradient > 0.0));
}

fn update(parameter: vec4f, gradient: vec4f, settled: Settled) -> vec4f {
  return scalars.rate * (settled.trust * limited(gradient)) + scalars.shrink * parameter;
}
