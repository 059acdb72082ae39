// The sum of micro-batch gradients, each weighted by its size over that of the first, with what its f32 cannot hold.
struct Scalars {
  weight: f32,
  begins: f32, // 1 for the first micro-batch, else 0
}
@group(0) @binding(0) var<uniform> scalars: Scalars;
@group(1) @binding(1) var<storage, read_write> accumulator: array<engine_Lanes>;
@group(1) @binding(2) var<storage, read_write> residuals: array<engine_Lanes>;
@group(1) @binding(3) var<storage, read> gradients: array<engine_Lanes>;

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  if (engine_outside(id.x)) {
    return;
  }
  let i = engine_chunk.first + id.x;
  let weighted = scalars.weight * engine_widen(gradients[engine_chunk.gradient_first + id.x]);
  // What an earlier step left is not read into the sum: it may hold an infinity.
  var sum = weighted;
  var residual = vec4f();
  if (scalars.begins == 0.0) {
    residual = engine_widen(residuals[i]);
    sum = engine_added(engine_widen(accumulator[i]), weighted, &residual);
  }
  accumulator[i] = engine_narrow(sum);
  residuals[i] = engine_narrow(residual);
}
