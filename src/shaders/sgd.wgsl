// Gradient descent: θ ← θ − ηg. What g averages over (all, one or some samples) is the caller's.
struct Scalars {
  rate: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient;
}
