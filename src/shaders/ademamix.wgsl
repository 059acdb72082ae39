// AdEMAMix: Adam with a second, slow average of the gradient; update = (fast_rate·m₁ + slow_rate·m₂) / (√v̂ + ε).
struct Scalars {
  fast_rate: f32, // η / (1 − β1^t)
  slow_rate: f32, // ηα(t)
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  beta3: f32,
  one_minus_beta3: f32,
  inverse_bias_correction2: f32, // 1 / (1 − β2^t)
  eps: f32,
}

struct State {
  exp_avg: vec4f,
  exp_avg_slow: vec4f,
  exp_avg_sq: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_slow = averaged((*state).exp_avg_slow, g, scalars.beta3, scalars.one_minus_beta3);
  let exp_avg_sq = averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_slow = exp_avg_slow;
  (*state).exp_avg_sq = exp_avg_sq;
  let direction = scalars.fast_rate * exp_avg + scalars.slow_rate * exp_avg_slow;
  return direction / (sqrt(exp_avg_sq * scalars.inverse_bias_correction2) + scalars.eps);
}
