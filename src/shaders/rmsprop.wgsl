// RMSProp: v ← αv + (1−α)g², update = rate·g / (√v + ε), or with ε inside the root.
struct Scalars {
  rate: f32,
  alpha: f32,
  one_minus_alpha: f32,
  eps: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;

override eps_inside: bool = false;
// Larger gradients enter the average as 1e19, so that it stays finite in f32.
const LARGEST = vec4f(1e19);

struct State {
  square_avg: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let bounded = clamp(gradient, -LARGEST, LARGEST);
  let square_avg = scalars.alpha * (*state).square_avg + scalars.one_minus_alpha * bounded * bounded;
  (*state).square_avg = square_avg;
  let inside = select(0.0, scalars.eps, eps_inside);
  let outside = select(scalars.eps, 0.0, eps_inside);
  return scalars.rate * gradient / (sqrt(square_avg + inside) + outside);
}
