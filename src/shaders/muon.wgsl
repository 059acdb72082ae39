// Muon: b ← momentum·b + gradient_in·g; passes make an orthogonal matrix of buffer_out·b + gradient_out·g (passes/muon.wgsl),
// along which update = rate·O.
struct Scalars {
  rate: f32,
  momentum: f32,
  one_minus_momentum: f32,
  gradient_in: f32,
  buffer_out: f32,
  gradient_out: f32,
  eps: f32,
  a: f32, // of the Newton–Schulz iteration X ← aX + (bA + cA²)X, A = XXᵀ
  b: f32,
  c: f32,
}

struct State {
  momentum_buffer: vec4f,
}

override eps_floor: bool = false; // of the passes, as is the other
override scaling: u32 = 0u;

fn direct(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let g = limited(gradient);
  let buffer = averaged((*state).momentum_buffer, vec4f(), scalars.momentum, scalars.one_minus_momentum) + scalars.gradient_in * g;
  (*state).momentum_buffer = buffer;
  return scalars.buffer_out * buffer + scalars.gradient_out * g;
}

fn update(parameter: vec4f, gradient: vec4f) -> vec4f {
  return scalars.rate * gradient;
}
