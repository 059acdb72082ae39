// An update goes on only where it takes the gradient's way.

// No product, which may be too small for f32.
fn engine_agrees(update: vec4f, gradient: vec4f) -> vec4<bool> {
  return ((update > vec4f()) & (gradient > vec4f())) | ((update < vec4f()) & (gradient < vec4f()));
}

fn engine_cautioned(update: vec4f, gradient: vec4f, factor: f32) -> vec4f {
  return select(vec4f(), factor * update, engine_agrees(update, gradient));
}
