// Gradient descent: θ ← θ − ηg. What g averages over (all, one or some samples) is the caller's.
struct Scalars {
  rate: f32,
}

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient;
}
