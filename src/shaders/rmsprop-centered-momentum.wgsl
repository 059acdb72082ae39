// Centered RMSProp with momentum: the variance v − ḡ² of rmsprop-centered in the buffer of rmsprop-momentum.
struct Scalars {
  rate_in: f32, // η where the rate enters the buffer, else 1
  buffer_out: f32, // 1 where the rate enters the buffer, else η; with Nesterov times μ
  scaled_out: f32, // with Nesterov 1 or η likewise, else 0
  momentum: f32,
  alpha: f32,
  one_minus_alpha: f32,
  eps: f32,
}

override eps_inside: bool = false;
// Larger gradients enter the averages as 1e19, so that they stay finite in f32.
const LARGEST = vec4f(1e19);

struct State {
  square_avg: vec4f,
  grad_avg: vec4f,
  momentum_buffer: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let bounded = clamp(gradient, -LARGEST, LARGEST);
  let square_avg = scalars.alpha * (*state).square_avg + scalars.one_minus_alpha * bounded * bounded;
  let grad_avg = scalars.alpha * (*state).grad_avg + scalars.one_minus_alpha * bounded;
  // Rounding takes the variance of a constant gradient below zero.
  let variance = max(square_avg - grad_avg * grad_avg, vec4f());
  let inside = select(0.0, scalars.eps, eps_inside);
  let outside = select(scalars.eps, 0.0, eps_inside);
  let scaled = scalars.rate_in * gradient / (sqrt(variance + inside) + outside);
  let buffer = scalars.momentum * (*state).momentum_buffer + scaled;
  (*state).square_avg = square_avg;
  (*state).grad_avg = grad_avg;
  (*state).momentum_buffer = buffer;
  return scalars.buffer_out * buffer + scalars.scaled_out * scaled;
}
