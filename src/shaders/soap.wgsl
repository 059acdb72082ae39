// SOAP: passes take Adam's direction in the eigenbasis of L and R (passes/soap.wgsl), along which update = rate·direction.
struct Scalars {
  rate: f32, // with the bias corrections; 0 in the first step
  decay_rate: f32, // ηλ, 0 in the first step
  begins: f32, // 1 in the first step
  refresh: f32, // 1 in steps that turn the basis
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  keeps: f32, // L and R
  weight: f32, // of GGᵀ and GᵀG in them
  eps: f32,
}

fn direct(parameter: vec4f, gradient: vec4f) -> vec4f {
  return limited(gradient);
}

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient + scalars.decay_rate * parameter;
}
