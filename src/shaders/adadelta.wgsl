// Adadelta: E ← ρE + (1−ρ)g², Δ = √(X+ε)/√(E+ε)·g, X ← ρX + (1−ρ)Δ², update = rate·Δ.
struct Scalars {
  rate: f32,
  rho: f32,
  one_minus_rho: f32,
  eps: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;

// Larger values enter the averages as 1e19, so that they stay finite in f32.
const LARGEST = vec4f(1e19);

struct State {
  square_avg: vec4f,
  acc_delta: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let bounded = clamp(gradient, -LARGEST, LARGEST);
  let square_avg = scalars.rho * (*state).square_avg + scalars.one_minus_rho * bounded * bounded;
  let ratio = sqrt((*state).acc_delta + scalars.eps) / sqrt(square_avg + scalars.eps);
  let delta = clamp(ratio * gradient, -LARGEST, LARGEST);
  (*state).square_avg = square_avg;
  (*state).acc_delta = scalars.rho * (*state).acc_delta + scalars.one_minus_rho * delta * delta;
  return scalars.rate * delta;
}
