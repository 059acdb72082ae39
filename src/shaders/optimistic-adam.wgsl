// Optimistic Adam: with r = (momentum_in·m + gradient_in·g) / (√(v̂ + eps_root) + ε), Adam's direction or Nadam's,
// update = rate_of_direction·r + rate_of_change·(r − r₋₁).
struct Scalars {
  rate_of_direction: f32, // ηα
  rate_of_change: f32, // ηβ; 0 at a first step that has no change
  momentum_in: f32, // 1 / (1 − β1^t); with nesterov β1 / (1 − β1^(t+1))
  gradient_in: f32, // 0; with nesterov (1 − β1) / (1 − β1^t)
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  inverse_bias_correction2: f32, // 1 / (1 − β2^t)
  eps: f32,
  eps_root: f32,
}

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
  previous_direction: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_sq = averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  let root = sqrt(exp_avg_sq * scalars.inverse_bias_correction2 + scalars.eps_root) + scalars.eps;
  let direction = (scalars.momentum_in * exp_avg + scalars.gradient_in * g) / root;
  let change = direction - (*state).previous_direction;
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  (*state).previous_direction = direction;
  return scalars.rate_of_direction * direction + scalars.rate_of_change * change;
}
