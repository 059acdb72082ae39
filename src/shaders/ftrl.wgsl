// FTRL-Proximal: n ← n + g², z ← z + g + shrinkage·θ − σθ with σ = (nᵖ − n₋₁ᵖ)/η; the new parameter is
// (clamp(z, ±l1) − z) / (nᵖ/η + l2), whatever the old one was.
struct Scalars {
  inverse_rate: f32, // 1 / η; 0 where η is
  power: f32, // p
  l1: f32,
  l2: f32, // with β/η
  shrinkage: f32,
}

// Whether p = ½.
override square_root: bool = true;

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
  let before = powered((*state).accumulator);
  let after = powered(accumulator);
  // A difference of roots without its cancellation; 0/0 is no growth.
  let root_growth = select(vec4f(), square / (after + before), after > vec4f());
  let growth = select(after - before, root_growth, square_root);
  let pull = scalars.inverse_rate * growth - scalars.shrinkage;
  let linear = (*state).linear + g - pull * parameter;
  (*state).accumulator = accumulator;
  (*state).linear = linear;
  let curvature = scalars.inverse_rate * after + scalars.l2;
  let closest = (clamp(linear, vec4f(-scalars.l1), vec4f(scalars.l1)) - linear) / curvature;
  // Without any curvature yet there is no closest point.
  return select(vec4f(), parameter - closest, curvature > vec4f());
}
