// AMSGrad: Adam with the largest second moment so far under the root.
struct Scalars {
  step_size: f32, // η / (1 − β1^t); with epsHat times √(1 − β2^t)
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  correction_in: f32, // of what is compared: 1, or 1 / (1 − β2^t) for the maximum of v̂
  correction_out: f32, // of the maximum: 1 / (1 − β2^t), or 1 for the maximum of v̂; with epsHat times 1 − β2^t
  eps: f32,
}

override eps_root: f32 = 0.0;

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
  max_exp_avg_sq: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_sq = averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  let largest = max((*state).max_exp_avg_sq, exp_avg_sq * scalars.correction_in);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  (*state).max_exp_avg_sq = largest;
  let corrected = largest * scalars.correction_out;
  let rooted = select(corrected, corrected + eps_root, eps_root > 0.0);
  return scalars.step_size * exp_avg / (sqrt(rooted) + scalars.eps);
}
