// Sophia: m ← β1m + (1−β1)g, update = η·clip(m / max(γh, ε), ρ); h averages the diagonals of the Hessian handed in.
struct Scalars {
  rate: f32, // ηρ
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  gamma: f32, // γρ, with bias correction times 1 − β1^t; ε likewise
  eps: f32,
}

struct State {
  exp_avg: vec4f,
  hessian: vec4f,
}

fn curvature(estimate: vec4f, state: ptr<function, State>) {
  (*state).hessian = blended((*state).hessian, estimate, scalars.beta2, scalars.one_minus_beta2);
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let exp_avg = averaged((*state).exp_avg, gradient, scalars.beta1, scalars.one_minus_beta1);
  (*state).exp_avg = exp_avg;
  let divisor = max(scalars.gamma * (*state).hessian, vec4f(scalars.eps));
  // Clipped before the division, so that nothing overflows.
  return scalars.rate * (clamp(exp_avg, -divisor, divisor) / divisor);
}
