// ADOPT: the gradient over the root of the v before it, clipped, is averaged; then v takes the gradient in.
// At the first step the clip is 0, so that v alone changes, and becomes g².
struct Scalars {
  rate: f32,
  decay: f32, // ηλ of decoupled decay, from the second step on
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32, // 0 at the first step
  one_minus_beta2: f32,
  eps: f32,
  clip: f32, // c_t
}

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let before = (*state).exp_avg_sq;
  let normalised = clamp(g / max(sqrt(before), vec4f(scalars.eps)), vec4f(-scalars.clip), vec4f(scalars.clip));
  let exp_avg = averaged((*state).exp_avg, normalised, scalars.beta1, scalars.one_minus_beta1);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = averaged(before, g * g, scalars.beta2, scalars.one_minus_beta2);
  return scalars.rate * exp_avg + scalars.decay * parameter;
}
