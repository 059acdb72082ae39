// Adam: m ← β1m + (1−β1)g, v ← β2v + (1−β2)g², update = step_size·m / (√(v̂ + eps_root) + ε).
struct Scalars {
  step_size: f32, // η / (1 − β1^t); with epsHat times √(1 − β2^t)
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  inverse_bias_correction2: f32, // 1 / (1 − β2^t); with epsHat 1
  eps: f32,
}

override eps_root: f32 = 0.0;

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
  let corrected = exp_avg_sq * scalars.inverse_bias_correction2;
  // A constant condition, so that without eps_root nothing is added.
  let rooted = select(corrected, corrected + eps_root, eps_root > 0.0);
  return scalars.step_size * exp_avg / (sqrt(rooted) + scalars.eps);
}
