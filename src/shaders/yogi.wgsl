// Yogi: Adam whose second moment moves by (1−β2)g² towards g², whatever its distance; update = step_size·m / (√v̂ + ε); with
// proximal the parameter is then shrunk by l1 and l2, at the rate of the element.
struct Scalars {
  step_size: f32, // η; with bias correction / (1 − β1^t), with epsHat times √(1 − β2^t)
  beta1: f32,
  one_minus_beta1: f32,
  one_minus_beta2: f32,
  inverse_bias_correction2: f32, // 1, or with bias correction and without epsHat 1 / (1 − β2^t)
  eps: f32,
  l1: f32,
  l2: f32,
}

override proximal: bool = false;

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let square = g * g;
  let before = (*state).exp_avg_sq;
  let exp_avg_sq = before - scalars.one_minus_beta2 * sign(before - square) * square;
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  let root = sqrt(exp_avg_sq * scalars.inverse_bias_correction2) + scalars.eps;
  let change = scalars.step_size * exp_avg / root;
  if (!proximal) {
    return change;
  }
  let rate = scalars.step_size / root;
  let moved = parameter - change;
  let shrunk = sign(moved) * max(abs(moved) - scalars.l1 * rate, vec4f()) / (1.0 + scalars.l2 * rate);
  return parameter - shrunk;
}
