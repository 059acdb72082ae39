// SM3: m ← βm + (1−β)d, update = rate·m, where passes have made d = g/√(ν + ε) of the gradient (passes/sm3.wgsl).
struct Scalars {
  rate: f32,
  momentum: f32,
  one_minus_momentum: f32,
  eps: f32, // of the passes
}

struct State {
  exp_avg: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  (*state).exp_avg = averaged((*state).exp_avg, gradient, scalars.momentum, scalars.one_minus_momentum);
  return scalars.rate * (*state).exp_avg;
}
