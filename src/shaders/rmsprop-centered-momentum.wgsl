// Centered RMSProp with momentum: the variance of rmsprop-centered in the buffer of rmsprop-momentum.
struct Scalars {
  rate_in: f32, // η where the rate enters the buffer, else 1
  buffer_out: f32, // 1 where the rate enters the buffer, else η; with Nesterov times μ
  scaled_out: f32, // with Nesterov 1 or η likewise, else 0
  momentum: f32,
  one_minus_momentum: f32,
  alpha: f32,
  one_minus_alpha: f32,
  eps: f32,
}

override eps_inside: bool = false;

struct State {
  square_dev: vec4f,
  grad_avg: vec4f,
  momentum_buffer: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let deviation = g - (*state).grad_avg;
  let variance = averaged((*state).square_dev, scalars.alpha * deviation * deviation, scalars.alpha, scalars.one_minus_alpha);
  (*state).square_dev = variance;
  (*state).grad_avg = averaged((*state).grad_avg, g, scalars.alpha, scalars.one_minus_alpha);
  let inside = select(0.0, scalars.eps, eps_inside);
  let outside = select(scalars.eps, 0.0, eps_inside);
  let scaled = scalars.rate_in * (g / (sqrt(variance + inside) + outside));
  let buffer = averaged((*state).momentum_buffer, vec4f(), scalars.momentum, scalars.one_minus_momentum) + scaled;
  (*state).momentum_buffer = buffer;
  return scalars.buffer_out * buffer + scalars.scaled_out * scaled;
}
