// Centered RMSProp: as RMSProp, with the variance v − ḡ² under the root (Graves 2013, eq. 38–45).
struct Scalars {
  rate: f32,
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
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let bounded = clamp(gradient, -LARGEST, LARGEST);
  let square_avg = scalars.alpha * (*state).square_avg + scalars.one_minus_alpha * bounded * bounded;
  let grad_avg = scalars.alpha * (*state).grad_avg + scalars.one_minus_alpha * bounded;
  (*state).square_avg = square_avg;
  (*state).grad_avg = grad_avg;
  // Rounding takes the variance of a constant gradient below zero.
  let variance = max(square_avg - grad_avg * grad_avg, vec4f());
  let inside = select(0.0, scalars.eps, eps_inside);
  let outside = select(scalars.eps, 0.0, eps_inside);
  return scalars.rate * gradient / (sqrt(variance + inside) + outside);
}
