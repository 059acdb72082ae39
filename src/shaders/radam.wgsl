// RAdam: the moments of Adam; update = momentum_rate·m before the rectification is defined, then adaptive_rate·m / (√v̂ + ε).
struct Scalars {
  momentum_rate: f32, // η / (1 − β1^t) where ρ_t is small, then 0
  adaptive_rate: f32, // 0 where ρ_t is small, then ηr_t / (1 − β1^t); with epsHat times √(1 − β2^t)
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
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_sq = averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  let root = sqrt(exp_avg_sq * scalars.inverse_bias_correction2) + scalars.eps;
  return scalars.momentum_rate * exp_avg + scalars.adaptive_rate * exp_avg / root;
}
