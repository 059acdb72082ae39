// What is found of each tensor, one an invocation: the norm of its gradient and its clip factor, or the norms of parameters
// and update. The sums over all are of what comes out.
override changes: bool = false;
override factors: bool = false; // whether each tensor's gradient has a limit
struct Tensors {
  count: u32,
}
@group(0) @binding(0) var<uniform> attempt: Attempt;
@group(1) @binding(0) var<uniform> all: Tensors;
// Of pieces; where those of each tensor begin, and where the last ones end.
@group(1) @binding(1) var<storage, read> sums: array<engine_Part>;
@group(1) @binding(2) var<storage, read> firsts: array<u32>;
@group(1) @binding(3) var<storage, read_write> tensors: array<Values>;
@group(1) @binding(4) var<storage, read_write> totals: array<engine_Part>;

@compute @workgroup_size(64)
fn engine_main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < all.count; i += groups.x * 64u) {
    var total = vec2f();
    for (var k = firsts[i + 1u]; k > firsts[i]; k--) {
      total += sums[k - 1u].xy;
    }
    if (changes) {
      tensors[i].found.parameter_squares = total.x;
      tensors[i].found.update_squares = total.y;
    } else {
      tensors[i].found.gradient_squares = total.x;
      tensors[i].found.non_finite = total.y;
      let factor = select(1.0, clip_factor(sqrt(total.x), attempt.clip_norm, attempt.flags), factors);
      tensors[i].found.clip_factor = factor;
      // What overflows stays infinite, so that it is known: infinity times zero would be NaN.
      if (finite(total.x)) {
        total.x *= factor * factor;
      }
    }
    totals[i] = engine_part(total);
  }
}
