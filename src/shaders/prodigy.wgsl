// Prodigy: Adam on d·g, whose rate d grows towards the distance from the start: d ← max(d, r/‖s‖₁) with
// r ← β3·r + (1−β3)γd²⟨g, θ₀ − θ⟩ and s ← β3·s + (1−β3)γd²·g over all tensors; update = γd·m/(√v + dε).
struct Scalars {
  rate: f32, // γ
  decay: f32, // γλ of decoupled decay
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  beta3: f32,
  numerator_in: f32, // (1 − β3)γ, times a factor on the estimate
  denominator_in: f32, // (1 − β3)γ, or 1 − β3
  eps: f32, // of the step's d, and of the next
  next_eps: f32,
}

struct State {
  exp_avg: vec4f,
  exp_avg_sq: vec4f,
  s: vec4f,
  p0: vec4f,
}
struct Sums {
  numerator: f32, // (1 − β3)γ⟨g, θ₀ − θ⟩: each group's by its own rate, so that all have one distance
  denominator: f32, // ‖s‖₁ of the new s
}
struct Settled {
  numerator: f32, // r
  d: f32, // of this step
  next_d: f32,
}

// Larger gradients count as 1e19 in every average: were √v bounded alone, m/√v would drive d without end.
fn limited(gradient: vec4f) -> vec4f {
  return clamp(gradient, vec4f(-1e19), vec4f(1e19));
}

fn next_s(gradient: vec4f, s: vec4f, d: f32) -> vec4f {
  return scalars.beta3 * s + scalars.denominator_in * d * d * gradient;
}

fn measure(parameter: vec4f, gradient: vec4f, state: State, settled: Settled) -> Sums {
  let counted = limited(gradient);
  let s = next_s(counted, state.s, settled.next_d);
  return Sums(scalars.numerator_in * dot(counted, state.p0 - parameter), dot(abs(s), vec4f(1.0)));
}

fn settle(sums: Sums, settled: Settled) -> Settled {
  let d = settled.next_d;
  let numerator = scalars.beta3 * settled.numerator + d * d * sums.numerator;
  // Without a gradient yet, nothing is known of the distance.
  let estimate = select(0.0, numerator / sums.denominator, sums.denominator > 0.0);
  return Settled(numerator, d, max(d, estimate));
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>, settled: Settled) -> vec4f {
  let d = settled.d;
  let counted = limited(gradient);
  let scaled = d * counted;
  let exp_avg = scalars.beta1 * (*state).exp_avg + scalars.one_minus_beta1 * scaled;
  let exp_avg_sq = bounded(scalars.beta2 * (*state).exp_avg_sq + scalars.one_minus_beta2 * scaled * scaled);
  (*state).exp_avg = exp_avg;
  (*state).exp_avg_sq = exp_avg_sq;
  (*state).s = next_s(counted, (*state).s, d);
  let eps = d * scalars.eps + settled.next_d * scalars.next_eps;
  return d * (scalars.rate * exp_avg / (sqrt(exp_avg_sq) + eps) + scalars.decay * parameter);
}
