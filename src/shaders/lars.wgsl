// LARS: u = g + λθ, trust = c‖θ‖/(‖g‖ + λ‖θ‖ + ε) of a tensor, b ← μb + gradient_in·trust·u,
// update = buffer_out·b + gradient_out·trust·u.
struct Scalars {
  momentum: f32,
  one_minus_momentum: f32,
  gradient_in: f32,
  buffer_out: f32,
  gradient_out: f32,
  decay: f32, // λ of decoupled decay
  trust_coefficient: f32,
  eps: f32,
  adapt: f32, // 0 where trust is 1
}

struct State {
  momentum_buffer: vec4f,
}
struct Sums {
  parameter: f32,
  small_parameter: f32,
  gradient: f32,
  small_gradient: f32,
}
struct Settled {
  trust: f32,
}

fn measure(parameter: vec4f, gradient: vec4f, state: State, settled: Settled) -> Sums {
  return Sums(squares(parameter), small_squares(parameter), squares(limited(gradient)), small_squares(gradient));
}

fn settle(sums: Sums, settled: Settled) -> Settled {
  let parameter = norm(sums.parameter, sums.small_parameter);
  let gradient = norm(sums.gradient, sums.small_gradient);
  let trust = scalars.trust_coefficient * parameter / (gradient + scalars.decay * parameter + scalars.eps);
  let adapts = parameter > 0.0 && gradient > 0.0 && scalars.adapt > 0.0;
  return Settled(select(1.0, min(trust, 1e38), adapts));
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>, settled: Settled) -> vec4f {
  let trusted = settled.trust * (limited(gradient) + scalars.decay * parameter);
  let buffer = averaged((*state).momentum_buffer, vec4f(), scalars.momentum, scalars.one_minus_momentum) + scalars.gradient_in * trusted;
  (*state).momentum_buffer = buffer;
  return scalars.buffer_out * buffer + scalars.gradient_out * trusted;
}
