// Averaged SGD: update = eta_t·g + λ·eta_t·θ; ax ← (1 − mu_t)·ax + mu_t·θ averages the new parameters.
struct Scalars {
  rate: f32, // eta_t
  decay: f32, // λ·eta_t
  mu: f32,
}

struct State {
  ax: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let change = scalars.rate * gradient + scalars.decay * parameter;
  let next = parameter - change;
  let ax = (*state).ax;
  // Until it begins, the average is the parameter to the bit.
  (*state).ax = select(ax + scalars.mu * (next - ax), next, scalars.mu == 1.0);
  return change;
}
