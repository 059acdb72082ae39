// Lion: update = rate·sign(β1m + (1−β1)g), then m ← β2m + (1−β2)g. Signum is the case β1 = β2.
struct Scalars {
  rate: f32,
  momentum_share: f32, // β1 / (1 − β1): the sign is that of the sum over 1 − β1, which no small gradient underflows
  beta2: f32,
  one_minus_beta2: f32,
}

struct State {
  exp_avg: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let exp_avg = (*state).exp_avg;
  (*state).exp_avg = averaged(exp_avg, gradient, scalars.beta2, scalars.one_minus_beta2);
  return scalars.rate * sign(scalars.momentum_share * exp_avg + gradient);
}
