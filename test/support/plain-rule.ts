/** A definition of gradient descent for `defineRule`, to be spoilt. */
export const plainRule = {
  name: "plain",
  wgsl: `struct Scalars { rate: f32 }
@group(0) @binding(0) var<uniform> scalars: Scalars;
fn update(parameter: vec4f, gradient: vec4f) -> vec4f { return scalars.rate * gradient; }`,
  scalars: (_: unknown, _t: number, lr: number) => ({ rate: lr }),
};
