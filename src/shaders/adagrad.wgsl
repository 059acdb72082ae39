// AdaGrad: s ← s + g², update = rate·g / (√s + ε), or with ε inside the root.
struct Scalars {
  rate: f32,
  eps: f32,
}

override eps_inside: bool = false;

struct State {
  sum: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let sum = bounded((*state).sum + g * g);
  (*state).sum = sum;
  let inside = select(0.0, scalars.eps, eps_inside);
  let outside = select(scalars.eps, 0.0, eps_inside);
  let denominator = sqrt(sum + inside) + outside;
  // With ε = 0 a coordinate that never saw a g is 0/0: no update.
  return select(vec4f(), scalars.rate * g / denominator, denominator > vec4f());
}
