// The adaptive natural gradient: update = rate·d, where passes have made d = Hg of the gradient, with H the inverse of an
// estimate of the Fisher information (passes/angd.wgsl).
struct Scalars {
  rate: f32,
  start: f32, // of the diagonal of H before the first step
  begins: f32, // 1 in the first step
  kept: f32, // 1 − δ
  delta: f32, // δ
  gain: f32, // δ/(1 − δ), in the first-order form δ
  dampened: f32, // δλ
  cycle: f32, // steps before this one, at most 2^24
}

override first_order: bool = false; // of the passes

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient;
}
