// RMSProp: v ← αv + (1−α)g², update = rate·g / (√v + ε), or with ε inside the root.
struct Scalars {
  rate: f32,
  alpha: f32,
  one_minus_alpha: f32,
  eps: f32,
  inverse_bias_correction: f32, // 1 / (1 − α^t), or 1 without the correction
}

override eps_inside: bool = false;

struct State {
  square_avg: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let square_avg = averaged((*state).square_avg, g * g, scalars.alpha, scalars.one_minus_alpha);
  (*state).square_avg = square_avg;
  let inside = select(0.0, scalars.eps, eps_inside);
  let outside = select(scalars.eps, 0.0, eps_inside);
  return scalars.rate * g / (sqrt(square_avg * scalars.inverse_bias_correction + inside) + outside);
}
