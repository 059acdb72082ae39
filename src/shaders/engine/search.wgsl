// A line through the parameters of all tensors, one behind the other: from where a step began, along what it changed.
struct Line {
  t: f32,
  count: u32,
}
@group(0) @binding(0) var<uniform> line: Line;
@group(0) @binding(1) var<storage, read> start: array<f32>;
@group(0) @binding(2) var<storage, read_write> direction: array<f32>;
@group(0) @binding(3) var<storage, read_write> point: array<f32>;
@group(0) @binding(4) var<storage, read> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>;

const LANES = 256u;

@compute @workgroup_size(256)
fn direct(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < line.count; i += groups.x * LANES) {
    direction[i] = point[i] - start[i];
  }
}

@compute @workgroup_size(256)
fn go_to(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < line.count; i += groups.x * LANES) {
    point[i] = start[i] + line.t * direction[i];
  }
}

var<workgroup> parts: array<vec4f, LANES>;

// The slope gᵀd, and the largest magnitudes of g and d: a sum a workgroup, in fixed order.
@compute @workgroup_size(256)
fn measure(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  var part = vec4f();
  for (var i = id.x; i < line.count; i += groups.x * LANES) {
    part.x += gradient[i] * direction[i];
    part.y = max(part.y, abs(gradient[i]));
    part.z = max(part.z, abs(direction[i]));
  }
  parts[lane] = part;
  for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
    workgroupBarrier();
    if (lane < reach) {
      let other = parts[lane + reach];
      parts[lane] = vec4f(parts[lane].x + other.x, max(parts[lane].yz, other.yz), 0.0);
    }
  }
  if (lane == 0u) {
    partials[group.x] = parts[0];
  }
}
