// Optimistic gradient descent: update = rate_of_gradient·g + rate_of_change·(g − g₋₁).
struct Scalars {
  rate_of_gradient: f32, // ηα
  rate_of_change: f32, // ηβ; 0 at a first step that has no change
}

struct State {
  previous_gradient: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let change = gradient - (*state).previous_gradient;
  (*state).previous_gradient = gradient;
  return scalars.rate_of_gradient * gradient + scalars.rate_of_change * change;
}
