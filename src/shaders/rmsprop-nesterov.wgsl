// RMSProp with Nesterov momentum, gradient at the look-ahead point θ − decay·b:
// r ← ρr + (1−ρ)g², b ← decay·b + η/√r·g, θ ← θ − b. There is no ε: r = 0 adds nothing.
struct Scalars {
  rate: f32,
  decay: f32,
  rho: f32,
  one_minus_rho: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;

// Larger gradients enter the average as 1e19, so that it stays finite in f32.
const LARGEST = vec4f(1e19);

struct State {
  square_avg: vec4f,
  momentum_buffer: vec4f,
}

fn lookahead(parameter: vec4f, state: State) -> vec4f {
  return parameter - scalars.decay * state.momentum_buffer;
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let bounded = clamp(gradient, -LARGEST, LARGEST);
  let square_avg = scalars.rho * (*state).square_avg + scalars.one_minus_rho * bounded * bounded;
  let root = sqrt(square_avg);
  let scaled = select(vec4f(), scalars.rate * gradient / root, root > vec4f());
  let buffer = scalars.decay * (*state).momentum_buffer + scaled;
  (*state).square_avg = square_avg;
  (*state).momentum_buffer = buffer;
  return buffer;
}
