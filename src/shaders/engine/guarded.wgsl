// What guards do in a step, between the gradient's scale and its decay.
override engine_zeroed: bool = false; // whether what is not finite counts as zero
override engine_clipped: bool = false; // whether the gradient is clipped by value
override engine_by_tensor: bool = false; // whether each tensor has a clip factor

fn engine_skips() -> bool {
  return engine_stage.skip != 0u;
}

fn engine_limited(scaled: vec4f, factor: vec2f) -> vec4f {
  var gradient = engine_stage.clip_factor * scaled;
  if (engine_zeroed) {
    // After a loss scale below 1, which may make it infinite.
    let infinite = (bitcast<vec4u>(gradient) & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
    gradient = select(gradient, vec4f(), infinite);
  }
  if (engine_clipped) {
    let limit = vec4f(engine_stage.clip_value);
    let nan = (bitcast<vec4u>(gradient) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
    gradient = select(clamp(gradient, -limit, limit), gradient, nan);
  }
  if (engine_by_tensor) {
    gradient = factor.y * (factor.x * gradient);
  }
  return gradient;
}
