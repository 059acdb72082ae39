// Schedule-Free SGD: z ← z − rate·g − decay·y, x ← x + weight·(z − x), and the parameter is y = (1−β)z + βx.
struct Scalars {
  rate: f32, // γ_t
  decay: f32, // γ_t·λ of decoupled decay
  weight: f32, // γ_t² / Σγ²
  momentum: f32, // β
}

struct State {
  z: vec4f,
  x: vec4f,
}

fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  let z = (*state).z - (scalars.rate * gradient + scalars.decay * parameter);
  let x = (*state).x + scalars.weight * (z - (*state).x);
  (*state).z = z;
  (*state).x = x;
  return parameter - (z + scalars.momentum * (x - z));
}
