// Shampoo: passes make a direction of the gradient between the inverse roots of L and R (passes/shampoo.wgsl), along which
// update = rate·direction.
struct Scalars {
  rate: f32,
  momentum: f32,
  one_minus_momentum: f32,
  keeps: f32, // L and R
  weight: f32, // of GGᵀ and GᵀG in them
  refresh: f32, // 1 in steps that work the roots out anew
  start: f32, // what L and R began with on their diagonal
  eps: f32,
  degree: f32, // of the roots: 4 or 2
  grafting: f32, // 0 to 3: none, sgd, adagrad, rmsprop
  graft_keeps: f32,
  graft_weight: f32,
  graft_eps: f32,
}

fn direct(parameter: vec4f, gradient: vec4f) -> vec4f {
  return limited(gradient);
}

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient;
}
