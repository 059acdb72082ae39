// Completes the record of a step with Σθ² and ΣΔ² over all tensors.
override by_tensor: bool = false; // whether the runs are those of tensors, and the sums of each are kept
struct Recording {
  runs: u32,
}
@group(1) @binding(0) var<uniform> recording: Recording;
@group(1) @binding(1) var<storage, read> control: Control;
// Σθ² and ΣΔ² of pieces; where those of each run begin, and where the last ones end.
@group(1) @binding(2) var<storage, read> sums: array<engine_Part>;
@group(1) @binding(3) var<storage, read> firsts: array<u32>;
@group(1) @binding(4) var<storage, read_write> history: array<Record>;
@group(1) @binding(5) var<storage, read_write> tensors: array<Values>;

const THREADS = 64u;
var<workgroup> shared_sums: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn engine_main(@builtin(local_invocation_index) thread: u32) {
  var sum = vec2f();
  for (var i = thread; i < recording.runs; i += THREADS) {
    var total = vec2f();
    for (var k = firsts[i + 1u]; k > firsts[i]; k--) {
      total += sums[k - 1u].xy;
    }
    if (by_tensor) {
      tensors[i].parameter_squares = total.x;
      tensors[i].update_squares = total.y;
    }
    sum += total;
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
