// FTRL-Proximal: n ← n + g², z ← z + g + shrinkage·θ − σθ; the new parameter is (clamp(z, ±l1) − z) / k with
// k = nᵖ/η + l2. σ is the growth of k. As θ was worked out so, too, z₋₁ + k₋₁θ is clamp(z₋₁, ±l1): that of the last step
// is all that is needed of z, whatever its rate was.
struct Scalars {
  inverse_rate: f32, // 1 / η; 0 where η is
  power: f32, // p
  l1: f32,
  l2: f32, // with β/η
  shrinkage: f32,
}

// Whether p = ½.
override square_root: bool = true;
// Whether σ = (nᵖ − n₋₁ᵖ)/η by the rate of this step alone, so that another rate rescales the parameter.
override rescaled: bool = false;

struct State {
  accumulator: vec4f,
  linear: vec4f,
}

// nᵖ. At 0, pow need not be defined.
fn powered(n: vec4f) -> vec4f {
  if (square_root) {
    return sqrt(n);
  }
  return select(pow(n, vec4f(scalars.power)), vec4f(f32(scalars.power == 0.0)), n == vec4f());
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  if (scalars.inverse_rate == 0.0) {
    return vec4f();
  }
  let g = limited(gradient);
  let square = g * g;
  let accumulator = bounded((*state).accumulator + square);
  let after = powered(accumulator);
  let curvature = scalars.inverse_rate * after + scalars.l2;
  let most = vec4f(scalars.l1);
  let force = g + scalars.shrinkage * parameter;
  if (!rescaled) {
    let held = clamp((*state).linear, -most, most);
    let linear = held + force - curvature * parameter;
    let clamped = clamp(linear, -most, most);
    (*state).accumulator = accumulator;
    (*state).linear = linear;
    // Not parameter − closest, in which the parameter would be rounded again; what l1 holds at zero is zero.
    let change = select((held - clamped + force) / curvature, parameter, linear == clamped);
    // Without any curvature yet there is no closest point.
    return select(vec4f(), change, curvature > vec4f());
  }
  let before = powered((*state).accumulator);
  // A difference of roots without its cancellation; 0/0 is no growth.
  let root_growth = select(vec4f(), square / (after + before), after > vec4f());
  let growth = select(after - before, root_growth, square_root);
  let linear = (*state).linear + (force - scalars.inverse_rate * growth * parameter);
  (*state).accumulator = accumulator;
  (*state).linear = linear;
  let closest = (clamp(linear, -most, most) - linear) / curvature;
  return select(vec4f(), parameter - closest, curvature > vec4f());
}
