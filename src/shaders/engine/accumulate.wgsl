// The sum of micro-batch gradients, each weighted by its size over that of the first.
struct Scalars {
  weight: f32,
  begins: f32, // 1 for the first micro-batch, else 0
}
@group(0) @binding(0) var<uniform> scalars: Scalars;
@group(1) @binding(1) var<storage, read_write> accumulator: array<engine_Lanes>;
@group(1) @binding(2) var<storage, read> gradients: array<engine_Lanes>;

fn accumulate(sum: vec4f, gradient: vec4f) -> vec4f {
  let weighted = scalars.weight * gradient;
  // What an earlier step left is not read into the sum: it may hold an infinity.
  return select(sum + weighted, weighted, scalars.begins > 0);
}

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= engine_chunk.count) {
    return;
  }
  let i = engine_chunk.first + id.x;
  let gradient = engine_widen(gradients[engine_chunk.gradient_first + id.x]);
  accumulator[i] = engine_narrow(accumulate(engine_widen(accumulator[i]), gradient));
}
