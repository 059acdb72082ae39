// The stages around a rule. What a step does not need is compiled away.
override engine_scaled: bool = false; // whether the gradient is scaled
override engine_zeroed: bool = false; // whether what is not finite counts as zero
override engine_clipped: bool = false; // whether the gradient is clipped by value
override engine_by_tensor: bool = false; // whether each tensor has a clip factor
override engine_guarded: bool = false; // whether the step may be skipped
override engine_decay_style: u32 = 0;
const engine_COUPLED = 1u;
const engine_SUBTRACTED = 2u; // decoupled and independent
const engine_PROXIMAL = 3u;
const engine_CAUTIOUS = 4u;

fn engine_skips() -> bool {
  return engine_guarded && engine_stage.skip != 0u;
}

// The gradient as the rule sees it. It is read by its bits: WGSL may take NaN and infinity in a float for impossible.
fn engine_prepared(bits: vec4u, point: vec4f, factor: vec2f) -> vec4f {
  var gradient = bitcast<vec4f>(bits);
  if (engine_scaled) {
    gradient = engine_stage.gradient_scale * gradient;
  }
  if (engine_guarded) {
    gradient = engine_stage.clip_factor * gradient;
  }
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
  if (engine_decay_style == engine_COUPLED) {
    gradient = gradient + engine_stage.coupled_decay * point;
  }
  return gradient;
}

// The change of the parameter: the update and the decay.
fn engine_decayed(parameter: vec4f, update: vec4f) -> vec4f {
  if (engine_decay_style < engine_SUBTRACTED) {
    return update;
  }
  if (engine_decay_style == engine_PROXIMAL) {
    return update + engine_stage.decay * (parameter - update);
  }
  if (engine_decay_style == engine_CAUTIOUS) {
    // No decay where the update grows the parameter.
    let away = ((update < vec4f()) & (parameter > vec4f())) | ((update > vec4f()) & (parameter < vec4f()));
    return update + engine_stage.decay * select(parameter, vec4f(), away);
  }
  return update + engine_stage.decay * parameter;
}

// NaN where the gradient is not finite: a rule that takes its sign or clips it would walk on.
fn engine_marked(next: vec4f, gradient: vec4f) -> vec4f {
  let magnitude = bitcast<vec4i>(gradient) & vec4i(0x7fffffff);
  let broken = magnitude >= vec4i(0x7f800000);
  return bitcast<vec4f>(bitcast<vec4i>(next) | select(vec4i(), vec4i(-1), broken));
}
