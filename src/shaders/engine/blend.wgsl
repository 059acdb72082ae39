// Copies of the parameters that are kept beside them: slow weights, a running average, states of a rule.
override kind: u32 = 0;
const KEEP = 0u; // the copy begins as the parameters
const SLOW = 1u; // both move towards each other
const AVERAGE = 2u; // the copy moves towards the parameters
const SWAP = 3u;
@group(1) @binding(1) var<storage, read_write> parameters: array<engine_Lanes>;
@group(1) @binding(2) var<storage, read_write> copies: array<engine_Lanes>;

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= engine_chunk.count) {
    return;
  }
  let i = engine_chunk.first + id.x;
  let parameter = parameters[i];
  let copied = copies[i];
  if (kind == KEEP) {
    copies[i] = parameter;
    return;
  }
  if (kind == SWAP) {
    copies[i] = parameter;
    parameters[i] = copied;
    return;
  }
  let weight = select(engine_stage.average_weight, engine_stage.slow_weight, kind == SLOW);
  if (weight == 0.0 || engine_stage.skip != 0u) {
    return;
  }
  let next = select(copied + weight * (parameter - copied), parameter, weight >= 1.0);
  copies[i] = next;
  if (kind == SLOW) {
    parameters[i] = next;
  }
}
