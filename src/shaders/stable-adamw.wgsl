// StableAdamW: AdamW at the rate η/max(1, RMS) with RMS² the mean of g²/max(v̂, ε²) over a tensor.
struct Scalars {
  step_size: f32, // η / (1 − β1^t)
  decay: f32, // ηλ of decoupled decay
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  inverse_bias_correction2: f32, // 1 / (1 − β2^t)
  eps: f32,
  eps_squared: f32,
}

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
}
struct Sums {
  ratios: f32,
  count: f32,
}
struct Settled {
  slowdown: f32, // 1/max(1, RMS)
}

fn average_of_squares(g: vec4f, state: State) -> vec4f {
  return averaged(state.exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
}

fn measure(parameter: vec4f, gradient: vec4f, state: State, settled: Settled) -> Sums {
  let g = limited(gradient);
  let corrected = average_of_squares(g, state) * scalars.inverse_bias_correction2;
  return Sums(dot(g * g / max(corrected, vec4f(scalars.eps_squared)), vec4f(1.0)), 0.0);
}

fn settle(sums: Sums, settled: Settled) -> Settled {
  return Settled(inverseSqrt(max(sums.ratios / sums.count, 1.0)));
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>, settled: Settled) -> vec4f {
  let g = limited(gradient);
  let exp_avg = averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_sq = average_of_squares(g, *state);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  let root = sqrt(exp_avg_sq * scalars.inverse_bias_correction2);
  return settled.slowdown * (scalars.step_size * exp_avg / (root + scalars.eps) + scalars.decay * parameter);
}
