// Adds up runs of parts, one an invocation.
struct Sum {
  count: u32, // of runs
}
@group(1) @binding(0) var<uniform> sum: Sum;
// Where each run begins, and where the last one ends.
@group(1) @binding(1) var<storage, read> firsts: array<u32>;
@group(1) @binding(2) var<storage, read> parts: array<engine_Part>;
@group(1) @binding(3) var<storage, read_write> sums: array<engine_Part>;

fn engine_leaf(k: u32) -> engine_Part {
  return parts[k];
}

@compute @workgroup_size(64)
fn engine_main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sum.count; i += groups.x * 64u) {
    sums[i] = engine_summed(firsts[i], firsts[i + 1u]);
  }
}
