// Schedule-Free AdamW: v of Adam; z ← z − rate·g/(√v + ε) − decay·y, x ← x + weight·(z − x), and the parameter is
// y = (1−β1)z + β1x.
struct Scalars {
  rate: f32, // η√(1 − β2^t)
  decay: f32, // γ_t·λ of decoupled decay; γ_t is the rate, or η
  weight: f32, // γ_t² / Σγ²
  beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32, // beside √v̂ times √(1 − β2^t)
}

struct State {
  z: vec4f,
  x: vec4f,
  exp_avg_sq: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let exp_avg_sq = averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2);
  let descent = scalars.rate * g / (sqrt(exp_avg_sq) + scalars.eps) + scalars.decay * parameter;
  let z = (*state).z - descent;
  let x = (*state).x + scalars.weight * (z - (*state).x);
  (*state).z = z;
  (*state).x = x;
  (*state).exp_avg_sq = exp_avg_sq;
  return parameter - (z + scalars.beta1 * (x - z));
}
