// Centered RMSProp: as RMSProp, with the variance S = v − ḡ² under the root (Graves 2013, eq. 38–45). S is kept instead of
// v, since a difference of averages loses all of its digits where gradients hardly change:
// v' − ḡ'² = α(S + (1−α)(g − ḡ)²) for the ḡ before the step.
struct Scalars {
  rate: f32,
  one_minus_alpha: f32,
  alpha: f32,
  eps: f32,
}

override eps_inside: bool = false;

struct State {
  square_dev: vec4f,
  grad_avg: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let deviation = g - (*state).grad_avg;
  let variance = averaged((*state).square_dev, scalars.alpha * deviation * deviation, scalars.alpha, scalars.one_minus_alpha);
  (*state).square_dev = variance;
  (*state).grad_avg = averaged((*state).grad_avg, g, scalars.alpha, scalars.one_minus_alpha);
  let inside = select(0.0, scalars.eps, eps_inside);
  let outside = select(scalars.eps, 0.0, eps_inside);
  return scalars.rate * g / (sqrt(variance + inside) + outside);
}
