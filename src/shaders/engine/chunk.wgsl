// The part of a span that a dispatch works on, in lanes.
struct engine_Chunk {
  first: u32, // in all bindings but that of the gradients
  gradient_first: u32,
  count: u32,
  strip: u32, // place of the first strip's partial sum
  owners: u32, // index in engine_tensors of the owners of strips
  zero: u32, // which no compiler knows
}
@group(0) @binding(1) var<uniform> engine_stage: engine_Stage;
@group(1) @binding(0) var<uniform> engine_chunk: engine_Chunk;
fn engine_outside(lane: u32) -> bool {
  return lane >= engine_chunk.count;
}
