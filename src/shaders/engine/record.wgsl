// Completes the record of a step with Σθ² and ΣΔ² over all tensors.
struct Recording {
  sums: u32,
}
@group(1) @binding(0) var<uniform> recording: Recording;
@group(1) @binding(1) var<storage, read> control: Control;
// Binding 2: Σθ² and ΣΔ², in parts.
@group(1) @binding(3) var<storage, read_write> history: array<Record>;

@compute @workgroup_size(THREADS)
fn engine_main(@builtin(local_invocation_index) thread: u32) {
  let total = total_of(recording.sums, thread);
  if (thread == 0u) {
    let now = control.attempt % HISTORY;
    history[now].parameter_squares = total.x;
    history[now].update_squares = total.y;
  }
}
