// Copies of the parameters that are kept beside them begin: slow weights, a running average, states of a rule.
@group(1) @binding(1) var<storage, read> parameters: array<engine_Lanes>;
@group(1) @binding(2) var<storage, read_write> copies: array<engine_Lanes>;
@group(1) @binding(3) var<storage, read> begun: array<u32>;

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  if (engine_outside(id.x) || begun[0] != 0u) {
    return;
  }
  let i = engine_chunk.first + id.x;
  copies[i] = parameters[i];
}
