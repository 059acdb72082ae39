// Prodigy: Adam on d·g, whose rate d grows towards the distance from the start: d ← max(d, r/‖s‖₁) with
// r ← β3·r + (1−β3)γd²⟨g, θ₀ − θ⟩ and s ← β3·s + (1−β3)γd²·g over all tensors; update = γd·m/(√v + dε).
// Only quotients count: m is kept over d, and v, r and s over d², since d·g and d² soon leave f32. θ₀ − θ is a sum of
// updates, since the difference of two large parameters holds none of them.
struct Scalars {
  rate: f32, // γ
  decay: f32, // γλ of decoupled decay
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  beta3: f32,
  one_minus_beta3: f32,
  numerator_in: f32, // (1 − β3)γ, times a factor on the estimate
  denominator_in: f32, // (1 − β3)γ, or 1 − β3
  eps: f32, // of the step's d, and of the next
  next_eps: f32,
}

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
  s: vec4f,
  displacement: vec4f, // θ₀ − θ
}
struct Sums {
  numerator: f32, // (1 − β3)γ⟨g, θ₀ − θ⟩: each group's by its own rate, so that all have one distance
  denominator: f32, // ‖s‖₁ of the new s
}
struct Settled {
  numerator: f32, // r
  d: f32, // of this step
  next_d: f32,
  ratio: f32, // d₋₁/d, by which m of the step before counts
}

fn next_s(g: vec4f, s: vec4f, ratio: f32) -> vec4f {
  return blended(ratio * ratio * s, vec4f(), scalars.beta3, scalars.one_minus_beta3) + scalars.denominator_in * g;
}

fn measure(parameter: vec4f, gradient: vec4f, state: State, settled: Settled) -> Sums {
  let g = limited(gradient);
  let s = next_s(g, state.s, settled.d / settled.next_d);
  return Sums(scalars.numerator_in * dot(g, state.displacement), dot(abs(s), vec4f(1.0)));
}

fn settle(sums: Sums, settled: Settled) -> Settled {
  let d = settled.next_d;
  let ratio = settled.d / d;
  let before = blended(vec4f(ratio * ratio * settled.numerator), vec4f(), scalars.beta3, scalars.one_minus_beta3).x;
  let numerator = before + sums.numerator;
  // Without a gradient yet, nothing is known of the distance.
  let estimate = select(0.0, numerator / sums.denominator, sums.denominator > 0.0);
  return Settled(numerator, d, max(d, min(estimate, 1e38)), ratio);
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>, settled: Settled) -> vec4f {
  let d = settled.d;
  let g = limited(gradient);
  let ratio = settled.ratio;
  let exp_avg = blended(ratio * (*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1);
  let exp_avg_sq = blended(ratio * ratio * (*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  let eps = scalars.eps + settled.next_d / d * scalars.next_eps;
  let change = d * (scalars.rate * exp_avg / (sqrt(exp_avg_sq) + eps) + scalars.decay * parameter);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  (*state).s = next_s(g, (*state).s, ratio);
  (*state).displacement += change;
  return change;
}
