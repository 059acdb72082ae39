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

fn engine_leaf(k: u32) -> engine_Part {
  return sums[k];
}

@compute @workgroup_size(64)
fn engine_main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < all.count; i += groups.x * 64u) {
    var total = engine_summed(firsts[i], firsts[i + 1u]);
    if (changes) {
      tensors[i].found.parameter_norm = total.x;
      tensors[i].found.update_norm = total.y;
      tensors[i].found.lost_updates = engine_third(total);
    } else {
      tensors[i].found.gradient_norm = total.x;
      tensors[i].found.non_finite = total.y;
      let factor = select(vec2f(1.0), clip_factor(total.x, attempt.clip_norm, attempt.flags), factors);
      tensors[i].found.clip_unit = factor.x;
      tensors[i].found.clip_factor = factor.y;
      // A norm that is not finite stays so, so that it is known: infinity times zero would be NaN.
      if (finite(total.x)) {
        total.x = factor.y * (factor.x * total.x);
      }
    }
    totals[i] = total;
  }
}
