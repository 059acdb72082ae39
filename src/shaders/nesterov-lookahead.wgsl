// Nesterov's accelerated gradient with the gradient at the look-ahead point θ − decay·b.
// b ← decay·b + ηg, θ ← θ − b: the velocity of the literature with its sign turned.
struct Scalars {
  decay: f32,
  rate: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;

struct State {
  momentum_buffer: vec4f,
}

fn lookahead(parameter: vec4f, state: State) -> vec4f {
  return parameter - scalars.decay * state.momentum_buffer;
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let buffer = scalars.decay * (*state).momentum_buffer + scalars.rate * gradient;
  (*state).momentum_buffer = buffer;
  return buffer;
}
