// Adan: averages of the gradient, of its change d = g − g₋₁, and of the square of g + β2d, the gradient one step ahead;
// update = (momentum_rate·m + difference_rate·v) / (√(n̂ + eps_root) + ε).
struct Scalars {
  momentum_rate: f32, // η / (1 − β1^t)
  difference_rate: f32, // ηβ2 / (1 − β2^t)
  difference_in: f32, // 1, but 0 at the first step, which has no gradient before it
  difference_weight: f32, // β2
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  beta3: f32,
  one_minus_beta3: f32,
  inverse_bias_correction3: f32, // 1 / (1 − β3^t)
  eps: f32,
  eps_root: f32,
}

struct State {
  exp_avg: vec4f,
  exp_avg_diff: vec4f,
  exp_avg_sq: vec4f,
  previous_gradient: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let difference = scalars.difference_in * (g - (*state).previous_gradient);
  let ahead = g + scalars.difference_weight * difference;
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_diff = averaged((*state).exp_avg_diff, difference, scalars.beta2, scalars.one_minus_beta2);
  let exp_avg_sq = averaged((*state).exp_avg_sq, ahead * ahead, scalars.beta3, scalars.one_minus_beta3);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_diff = exp_avg_diff;
  (*state).exp_avg_sq = exp_avg_sq;
  (*state).previous_gradient = g;
  let direction = scalars.momentum_rate * exp_avg + scalars.difference_rate * exp_avg_diff;
  return direction / (sqrt(exp_avg_sq * scalars.inverse_bias_correction3 + scalars.eps_root) + scalars.eps);
}
