// The stages around a rule. What a step does not need is compiled away.
override engine_scaled: bool = false; // whether the gradient is scaled
override engine_decay_style: u32 = 0;
const engine_COUPLED = 1u;
const engine_SUBTRACTED = 2u; // decoupled and independent
const engine_PROXIMAL = 3u;
const engine_CAUTIOUS = 4u;

// The gradient, or the mean of those accumulated, uphill where the loss is to grow. It is read by its bits: WGSL may take NaN
// and infinity in a float for impossible.
fn engine_gradient_of(bits: vec4u) -> vec4f {
  let gradient = bitcast<vec4f>(bits);
  if (engine_scaled) {
    return engine_stage.gradient_scale * gradient;
  }
  return gradient;
}

// The gradient as the rule sees it.
fn engine_coupled(gradient: vec4f, point: vec4f) -> vec4f {
  if (engine_decay_style == engine_COUPLED) {
    return gradient + engine_stage.coupled_decay * point;
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
