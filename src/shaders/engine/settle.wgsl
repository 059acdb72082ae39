// Adds up the partial sums of each tensor, in an order that depends on nothing but the tensor's items: the engine's own,
// or those of a rule.
struct Settle {
  tensors: u32,
  totals: u32, // index in sums of the first tensor's total
  partials: u32, // index in sums of the first partial sum
}
struct Tensor {
  first_item: u32,
  items: u32,
}
@group(1) @binding(0) var<uniform> settle: Settle;
@group(1) @binding(1) var<storage, read> tensors: array<Tensor>;
// A partial sum of each thread of each item, then a total of each tensor:
// Σθ², ΣΔ², Σg², how many gradients are not finite.
@group(1) @binding(2) var<storage, read_write> sums: array<vec4f>;

const THREADS = 64u;
var<workgroup> shared_sums: array<vec4f, THREADS>;

@compute @workgroup_size(THREADS)
fn engine_main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  for (var i = group.x; i < settle.tensors; i += groups.x) {
    let first = settle.partials + tensors[i].first_item * THREADS;
    let end = first + tensors[i].items * THREADS;
    var sum = vec4f();
    for (var k = first + thread; k < end; k += THREADS) {
      sum += sums[k];
    }
    shared_sums[thread] = sum;
    for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
      workgroupBarrier();
      if (thread < stride) {
        shared_sums[thread] += shared_sums[thread + stride];
      }
    }
    if (thread == 0u) {
      sums[settle.totals + i] = shared_sums[0];
    }
    workgroupBarrier();
  }
}
