// Averaged SGD: update = eta_t·g + λ·eta_t·θ; ax ← (1 − mu_t)·ax + mu_t·θ averages the new parameters.
struct Scalars {
  rate: f32, // eta_t
  decay: f32, // λ·eta_t
  mu: f32,
  one_minus_mu: f32,
}

struct State {
  ax: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let change = scalars.rate * gradient + scalars.decay * parameter;
  (*state).ax = averaged((*state).ax, parameter - change, scalars.one_minus_mu, scalars.mu);
  return change;
}
