// Adafactor: update = ρ·d, where passes have made d = max(ε2, RMS(θ))·Û of the gradient (passes/adafactor.wgsl).
struct Scalars {
  rate: f32, // ρ
  kept: f32, // β2 of the step, and 1 − β2
  weight: f32,
  added: f32, // ε1 beside g²
  mean_floor: f32, // ε1 below the mean of the rows' averages
  floor: f32, // ε1² below v
  least_scale: f32, // ε2, or 1
  scale: f32, // of RMS(θ): 1, or 0
  inverse_threshold: f32, // 1/d, or 0
}

// For the passes: an average by the weights of the step, and a gradient as far as its square goes.
fn moved(average: f32, value: f32) -> f32 {
  return blended(vec4f(average), vec4f(value), scalars.kept, scalars.weight).x;
}

fn held(gradient: f32) -> f32 {
  return limited(vec4f(gradient)).x;
}

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient;
}
