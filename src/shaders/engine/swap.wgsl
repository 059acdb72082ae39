// Exchanges the parameters with a copy that is kept beside them.
@group(1) @binding(1) var<storage, read_write> parameters: array<engine_Lanes>;
@group(1) @binding(2) var<storage, read_write> copies: array<engine_Lanes>;

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  if (engine_outside(id.x)) {
    return;
  }
  let i = engine_chunk.first + id.x;
  let parameter = parameters[i];
  parameters[i] = copies[i];
  copies[i] = parameter;
}
