// signSGD: update = rate·sign(g).
struct Scalars {
  rate: f32,
}

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * sign(gradient);
}
