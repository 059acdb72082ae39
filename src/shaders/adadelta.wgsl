// Adadelta: E ← ρE + (1−ρ)g², Δ = √(X+ε)/√(E+ε)·g, X ← ρX + (1−ρ)Δ², update = rate·Δ.
struct Scalars {
  rate: f32,
  rho: f32,
  one_minus_rho: f32,
  eps: f32,
}

struct State {
  square_avg: vec4f,
  acc_delta: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let square_avg = bounded(scalars.rho * (*state).square_avg + scalars.one_minus_rho * gradient * gradient);
  let ratio = sqrt((*state).acc_delta + scalars.eps) / sqrt(square_avg + scalars.eps);
  let delta = ratio * gradient;
  (*state).square_avg = square_avg;
  (*state).acc_delta = bounded(scalars.rho * (*state).acc_delta + scalars.one_minus_rho * delta * delta);
  return scalars.rate * delta;
}
