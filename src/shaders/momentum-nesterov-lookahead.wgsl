// Nesterov's accelerated gradient with the gradient at the look-ahead point θ − momentum·b.
// b ← momentum·b + ηg, θ ← θ − b: the velocity of the literature with its sign turned.
struct Scalars {
  momentum: f32,
  one_minus_momentum: f32,
  rate: f32,
}

struct State {
  momentum_buffer: vec4f,
}

fn lookahead(parameter: vec4f, state: State) -> vec4f {
  return parameter - scalars.momentum * state.momentum_buffer;
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let buffer = averaged((*state).momentum_buffer, vec4f(), scalars.momentum, scalars.one_minus_momentum) + scalars.rate * gradient;
  (*state).momentum_buffer = buffer;
  return buffer;
}
