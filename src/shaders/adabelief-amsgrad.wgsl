// AdaBelief with the largest s so far, as in AMSGrad: m ← β1m + (1−β1)g, s ← β2s + (1−β2)(g − m)² + eps_root,
// update = adaptive_rate·m / (√ŝ + ε); with the rectification of RAdam, momentum_rate·m at first.
struct Scalars {
  momentum_rate: f32, // 0 without rectification; else as in RAdam
  adaptive_rate: f32, // η / (1 − β1^t), with rectification times r_t or 0
  beta1: f32,
  beta1_squared: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  inverse_bias_correction2: f32, // 1 / (1 − β2^t)
  eps: f32,
  eps_root: f32,
}

struct State {
  exp_avg: vec4f,
  exp_avg_var: vec4f,
  max_exp_avg_var: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  // g − m of the new m is β1 times that of the old one, without its rounding: what cancels here decides about s.
  let surprise = g - (*state).exp_avg;
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let average = averaged((*state).exp_avg_var, scalars.beta1_squared * surprise * surprise, scalars.beta2, scalars.one_minus_beta2);
  let exp_avg_var = average + scalars.eps_root;
  let largest = max((*state).max_exp_avg_var, exp_avg_var);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_var = exp_avg_var;
  (*state).max_exp_avg_var = largest;
  let root = sqrt(largest * scalars.inverse_bias_correction2) + scalars.eps;
  return scalars.momentum_rate * exp_avg + scalars.adaptive_rate * exp_avg / root;
}
