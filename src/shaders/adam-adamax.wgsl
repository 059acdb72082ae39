// AdaMax: m ← β1m + (1−β1)g, u ← max(β2u, |g| + eps_in), update = step_size·m/(u + eps_out).
struct Scalars {
  step_size: f32, // η / (1 − β1^t)
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  eps_in: f32, // ε where it joins the norm, else 0
  eps_out: f32, // ε where it joins the denominator, else 0
}

struct State {
  exp_avg: vec4f,
  exp_inf: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let exp_avg = averaged((*state).exp_avg, gradient, scalars.beta1, scalars.one_minus_beta1);
  let exp_inf = max(scalars.beta2 * (*state).exp_inf, abs(gradient) + scalars.eps_in);
  (*state).exp_avg = exp_avg;
  (*state).exp_inf = exp_inf;
  // With ε = 0 a coordinate that never saw a gradient is 0/0: no update.
  let denominator = exp_inf + scalars.eps_out;
  return select(vec4f(), scalars.step_size * exp_avg / denominator, denominator > vec4f());
}
