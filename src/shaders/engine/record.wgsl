// Completes the record of a step with what is summed up of parameters and updates over all tensors.
struct Recording {
  sums: u32,
}
@group(1) @binding(0) var<uniform> recording: Recording;
@group(1) @binding(1) var<storage, read> control: Control;
// The norms of parameters and update, and how many updates were lost.
@group(1) @binding(2) var<storage, read> parts: array<engine_Part>;
@group(1) @binding(3) var<storage, read_write> history: array<Record>;

fn engine_leaf(k: u32) -> engine_Part {
  return parts[k];
}

@compute @workgroup_size(1)
fn engine_main() {
  let total = engine_summed(0u, recording.sums);
  let now = control.attempt % arrayLength(&history);
  history[now].parameter_norm = total.x;
  history[now].update_norm = total.y;
  history[now].lost_updates = engine_third(total);
}
