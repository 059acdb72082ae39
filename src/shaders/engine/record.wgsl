// Completes the record of a step with Σθ² and ΣΔ² over all tensors.
struct Recording {
  sums: u32,
}
@group(1) @binding(0) var<uniform> recording: Recording;
@group(1) @binding(1) var<storage, read> control: Control;
// Σθ² and ΣΔ², in parts.
@group(1) @binding(2) var<storage, read> sums: array<engine_Part>;
@group(1) @binding(3) var<storage, read_write> history: array<Record>;

const THREADS = 64u;
var<workgroup> shared_sums: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn engine_main(@builtin(local_invocation_index) thread: u32) {
  var sum = vec2f();
  for (var i = thread; i < recording.sums; i += THREADS) {
    sum += sums[i].xy;
  }
  shared_sums[thread] = sum;
  for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (thread < stride) {
      shared_sums[thread] += shared_sums[thread + stride];
    }
  }
  if (thread == 0u) {
    let now = control.attempt % HISTORY;
    history[now].parameter_squares = shared_sums[0].x;
    history[now].update_squares = shared_sums[0].y;
  }
}
