// NovoGrad: v ← β2v + (1−β2)‖g‖² of a tensor, m ← β1m + gradient_in·(g/(√v + ε) + λθ), update = rate·m.
struct Scalars {
  rate: f32,
  beta1: f32,
  one_minus_beta1: f32,
  gradient_in: f32, // 1, with averaging 1 − β1 from the second step on
  norm_kept: f32, // β2, 0 at the first step
  norm_in: f32, // 1 − β2, 1 at the first step
  decay: f32, // λ of decoupled decay
  eps: f32,
}

struct State {
  exp_avg: vec4f,
}
struct Sums {
  squares: f32,
}
struct Settled {
  exp_avg_sq: f32,
}

fn measure(parameter: vec4f, gradient: vec4f, state: State, settled: Settled) -> Sums {
  let g = limited(gradient);
  return Sums(dot(g, g));
}

fn settle(sums: Sums, settled: Settled) -> Settled {
  let squares = bounded(vec4f(sums.squares));
  return Settled(blended(vec4f(settled.exp_avg_sq), squares, scalars.norm_kept, scalars.norm_in).x);
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>, settled: Settled) -> vec4f {
  let direction = limited(gradient) / (sqrt(settled.exp_avg_sq) + scalars.eps) + scalars.decay * parameter;
  let exp_avg = averaged((*state).exp_avg, vec4f(), scalars.beta1, scalars.one_minus_beta1) + scalars.gradient_in * direction;
  (*state).exp_avg = exp_avg;
  return scalars.rate * exp_avg;
}
