// The sum of micro-batch gradients, each weighted by its size over that of the first.
struct Scalars {
  weight: f32,
  begins: f32, // 1 for the first micro-batch, else 0
}
@group(0) @binding(0) var<uniform> scalars: Scalars;

fn accumulate(sum: vec4f, gradient: vec4f) -> vec4f {
  let weighted = scalars.weight * gradient;
  // What an earlier step left is not read into the sum: it may hold an infinity.
  return select(sum + weighted, weighted, scalars.begins > 0);
}
