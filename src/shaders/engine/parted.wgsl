// As chunk.wgsl, of a span some tensors of which are left out.
struct engine_Chunk {
  first: u32,
  gradient_first: u32,
  count: u32,
  strip: u32,
  owners: u32,
  zero: u32,
  stepped: array<vec4u, 4094>, // a bit for each strip of 256 bytes: whether it is of a tensor that is not left out
}
@group(0) @binding(1) var<uniform> engine_stage: engine_Stage;
@group(1) @binding(0) var<uniform> engine_chunk: engine_Chunk;

// Four elements a lane, sixteen lanes a strip.
fn engine_outside(lane: u32) -> bool {
  let strip = lane >> 4u;
  let word = engine_chunk.stepped[strip >> 7u][(strip >> 5u) & 3u];
  return lane >= engine_chunk.count || ((word >> (strip & 31u)) & 1u) == 0u;
}
