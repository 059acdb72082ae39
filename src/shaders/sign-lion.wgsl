// Lion: update = rate·sign(β1m + (1−β1)g), then m ← β2m + (1−β2)g. Signum is the case β1 = β2.
struct Scalars {
  rate: f32,
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
}

struct State {
  exp_avg: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let exp_avg = (*state).exp_avg;
  (*state).exp_avg = scalars.beta2 * exp_avg + scalars.one_minus_beta2 * gradient;
  return scalars.rate * sign(scalars.beta1 * exp_avg + scalars.one_minus_beta1 * gradient);
}
