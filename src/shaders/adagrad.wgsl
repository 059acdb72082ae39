// AdaGrad: s ← s + g², update = rate·g / (√s + ε), or with ε inside the root.
struct Scalars {
  rate: f32,
  eps: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;

override eps_inside: bool = false;
// Larger gradients enter the sum as 1e19 and the sum stops at 2e38, so that it stays finite in f32.
const LARGEST = vec4f(1e19);

struct State {
  sum: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let bounded = clamp(gradient, -LARGEST, LARGEST);
  let sum = min((*state).sum + bounded * bounded, vec4f(2e38));
  (*state).sum = sum;
  let inside = select(0.0, scalars.eps, eps_inside);
  let outside = select(scalars.eps, 0.0, eps_inside);
  let denominator = sqrt(sum + inside) + outside;
  // With ε = 0 a coordinate that never saw a gradient is 0/0: no update.
  return select(vec4f(), scalars.rate * gradient / denominator, denominator > vec4f());
}
