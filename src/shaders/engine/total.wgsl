// The sum of a list, by the one workgroup that there is.
const THREADS = 64u;
@group(1) @binding(2) var<storage, read> sums: array<engine_Part>;
var<workgroup> shared_sums: array<vec2f, THREADS>;

// For thread 0; the others get a part of it.
fn total_of(count: u32, thread: u32) -> vec2f {
  var sum = vec2f();
  for (var i = thread; i < count; i += THREADS) {
    sum += sums[i].xy;
  }
  shared_sums[thread] = sum;
  for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (thread < stride) {
      shared_sums[thread] += shared_sums[thread + stride];
    }
  }
  return shared_sums[thread];
}
