// signSGD: update = rate·sign(g).
struct Scalars {
  rate: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * sign(gradient);
}
