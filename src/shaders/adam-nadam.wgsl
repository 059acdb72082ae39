// Nadam: the moments of Adam; update = (gradient_rate·g + momentum_rate·m) / (√(v̂ + eps_root) + ε).
struct Scalars {
  gradient_rate: f32, // η(1 − μ_t) / (1 − Π_{i≤t} μ_i); with epsHat times √(1 − β2^t)
  momentum_rate: f32, // ημ_{t+1} / (1 − Π_{i≤t+1} μ_i); with epsHat times √(1 − β2^t)
  beta1: f32, // or μ_t
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
  let exp_avg = blended((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_sq = averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  let direction = scalars.gradient_rate * g + scalars.momentum_rate * exp_avg;
  let corrected = exp_avg_sq * scalars.inverse_bias_correction2;
  let rooted = select(corrected, corrected + eps_root, eps_root > 0.0);
  return direction / (sqrt(rooted) + scalars.eps);
}
