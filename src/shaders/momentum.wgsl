// Every form of momentum whose gradient is taken at the parameter itself:
// b ← momentum·b + gradient_in·g, update = buffer_out·b + gradient_out·g.
struct Scalars {
  momentum: f32,
  one_minus_momentum: f32,
  gradient_in: f32,
  buffer_out: f32,
  gradient_out: f32,
}

struct State {
  momentum_buffer: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let buffer = averaged((*state).momentum_buffer, vec4f(), scalars.momentum, scalars.one_minus_momentum) + scalars.gradient_in * gradient;
  (*state).momentum_buffer = buffer;
  return scalars.buffer_out * buffer + scalars.gradient_out * gradient;
}
