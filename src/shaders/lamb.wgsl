// LAMB: u = m̂/(√(v̂ + eps_root) + ε) + λθ with m and v of Adam, trust = ‖θ‖/‖u‖ of a tensor, update = rate·trust·u + ηλθ.
struct Scalars {
  rate: f32,
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  inverse_bias_correction1: f32, // 1 / (1 − β1^t), or 1
  inverse_bias_correction2: f32,
  eps: f32,
  eps_root: f32,
  decay: f32, // λ in u
  decay_first: f32, // ηλ beside it
  norm_kept: f32, // by the decay that went before
  max_norm: f32, // the largest f32 where there is no limit
  max_trust: f32,
  adapt: f32, // 0 where trust is 1
}

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
}
struct Sums {
  parameter: f32,
  small_parameter: f32,
  direction: f32,
  small_direction: f32,
}
struct Settled {
  trust: f32,
}

fn direction(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_sq = averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  let root = sqrt(exp_avg_sq * scalars.inverse_bias_correction2 + scalars.eps_root);
  return scalars.inverse_bias_correction1 * exp_avg / (root + scalars.eps) + scalars.decay * parameter;
}

fn measure(parameter: vec4f, gradient: vec4f, state: State, settled: Settled) -> Sums {
  var before = state;
  let u = direction(parameter, gradient, &before);
  return Sums(squares(parameter), small_squares(parameter), squares(u), small_squares(u));
}

fn settle(sums: Sums, settled: Settled) -> Settled {
  let parameter = min(scalars.norm_kept * norm(sums.parameter, sums.small_parameter), scalars.max_norm);
  let u = norm(sums.direction, sums.small_direction);
  let trust = select(1.0, min(parameter / u, 1e38), parameter > 0.0 && u > 0.0);
  return Settled(select(1.0, min(trust, scalars.max_trust), scalars.adapt > 0.0));
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>, settled: Settled) -> vec4f {
  let u = direction(parameter, gradient, state);
  return scalars.rate * (settled.trust * u) + scalars.decay_first * parameter;
}
