// Noisy SGD: update = rate·(g + noise); passes have added the noise (passes/noisy-sgd.wgsl).
struct Scalars {
  rate: f32,
  deviation: f32, // √(η/t^γ)
  step_low: f32, // t and the seed, 16 bits each
  step_high: f32,
  seed_low: f32,
  seed_high: f32,
}

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient;
}
