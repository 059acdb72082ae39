// Rprop: each element has a step size of its own, which grows while the gradient keeps its sign and shrinks where it
// turns; there the element rests for a step. Only signs count: the product of two gradients underflows.
struct Scalars {
  first_step_size: f32, // η
  eta_minus: f32,
  eta_plus: f32,
  step_size_min: f32,
  step_size_max: f32,
}

// Whether a step is taken one step late.
override delayed: bool = false;

struct State {
  prev: vec4f,
  step_size: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let agreement = sign(gradient) * sign((*state).prev);
  let factor = select(
    select(vec4f(1.0), vec4f(scalars.eta_minus), agreement < vec4f()),
    vec4f(scalars.eta_plus),
    agreement > vec4f(),
  );
  // Zero has not begun: step sizes are positive.
  let before = select((*state).step_size, vec4f(scalars.first_step_size), (*state).step_size == vec4f());
  let step_size = clamp(factor * before, vec4f(scalars.step_size_min), vec4f(scalars.step_size_max));
  let kept = select(gradient, vec4f(), agreement < vec4f());
  let late = select(sign((*state).prev) * before, vec4f(), agreement < vec4f());
  (*state).prev = kept;
  (*state).step_size = step_size;
  return select(sign(kept) * step_size, late, delayed);
}
