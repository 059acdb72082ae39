// L-BFGS: update = rate·Hg, where passes over whole tensors make Hg of the gradient.
struct Scalars {
  rate: f32,
  begins: f32,
  step: f32, // number of the step, and of the one before; 0 before the first
  last: f32,
}

fn direct(parameter: vec4f, gradient: vec4f) -> vec4f {
  return limited(gradient);
}

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient;
}
