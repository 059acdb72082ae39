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
  let g = limited(gradient);
  let square_avg = averaged((*state).square_avg, g * g, scalars.rho, scalars.one_minus_rho);
  let before = (*state).acc_delta + scalars.eps;
  let divisor = square_avg + scalars.eps;
  let delta = sqrt(before) / sqrt(divisor) * g;
  (*state).square_avg = square_avg;
  (*state).acc_delta = averaged((*state).acc_delta, before * (g / divisor) * g, scalars.rho, scalars.one_minus_rho);
  return scalars.rate * delta;
}
