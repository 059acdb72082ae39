// LaProp: v ← β2v + (1−β2)g², m ← β1m + (1−β1)·rate_in·g/(√v̂ + ε), update = step_size·m.
struct Scalars {
  rate_in: f32, // 1, or η with rateInside; with epsHat times √(1 − β2^t)
  step_size: f32, // η / (1 − β1^t), or η over the average of all η so far with rateInside
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  inverse_bias_correction2: f32, // 1 / (1 − β2^t); with epsHat 1
  eps: f32,
}

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let exp_avg_sq = averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  let normalised = scalars.rate_in * (g / (sqrt(exp_avg_sq * scalars.inverse_bias_correction2) + scalars.eps));
  let exp_avg = averaged((*state).exp_avg, normalised, scalars.beta1, scalars.one_minus_beta1);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  return scalars.step_size * exp_avg;
}
