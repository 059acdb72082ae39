// RMSProp with Nesterov momentum, gradient at the look-ahead point θ − momentum·b:
// r ← ρr + (1−ρ)g², b ← momentum·b + η/√r·g, θ ← θ − b. There is no ε: r = 0 adds nothing.
struct Scalars {
  rate: f32,
  momentum: f32,
  one_minus_momentum: f32,
  rho: f32,
  one_minus_rho: f32,
}

struct State {
  square_avg: vec4f,
  momentum_buffer: vec4f,
}

fn lookahead(parameter: vec4f, state: State) -> vec4f {
  return parameter - scalars.momentum * state.momentum_buffer;
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let square_avg = averaged((*state).square_avg, g * g, scalars.rho, scalars.one_minus_rho);
  let root = sqrt(square_avg);
  let scaled = select(vec4f(), scalars.rate * g / root, root > vec4f());
  let buffer = averaged((*state).momentum_buffer, vec4f(), scalars.momentum, scalars.one_minus_momentum) + scaled;
  (*state).square_avg = square_avg;
  (*state).momentum_buffer = buffer;
  return buffer;
}
