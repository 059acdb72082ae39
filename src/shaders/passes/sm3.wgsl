// Accumulators lie one behind the other: those of the first dimension, then of the second, and so on.
struct Tensor {
  first: u32,
  rows: u32,
  columns: u32,
  count: u32,
  dimensions: u32, // at most 6, those of extent 1 left out
  extent0: u32,
  extent1: u32,
  extent2: u32,
  extent3: u32,
  extent4: u32,
  extent5: u32,
  accumulator: u32,
  nu: u32, // ν of each element, four in one
}

var<workgroup> maxima: array<f32, 64>;

fn extents_of(tensor: Tensor) -> array<u32, 6> {
  return array(tensor.extent0, tensor.extent1, tensor.extent2, tensor.extent3, tensor.extent4, tensor.extent5);
}

// ν ← least accumulator of the element's indices + g², and the direction g/√(ν + ε); 0 where ν is.
fn precondition(tensor: Tensor, work: u32, lane: u32) {
  var extents = extents_of(tensor);
  let start = 4u * (64u * work + lane);
  var nu = vec4f();
  for (var k = 0u; k < 4u && start + k < tensor.count; k++) {
    let element = start + k;
    var least = 1e38;
    var end = tensor.accumulator;
    var inner = tensor.count;
    for (var d = 0u; d < tensor.dimensions; d++) {
      let extent = extents[d];
      inner /= extent;
      let index = element / inner % extent;
      least = min(least, kept[end + index]);
      end += extent;
    }
    let given = directions[tensor.first + element];
    let gradient = held(given);
    let own = min(least + gradient * gradient, 1e38);
    nu[k] = own;
    if (is_finite(given)) {
      let root = sqrt(own + scalars.eps);
      directions[tensor.first + element] = select(0.0, gradient / root, own > 0.0);
    }
  }
  if (start < tensor.count) {
    scratch[tensor.nu + start / 4u] = nu;
  }
}

// As far as squares go: at most 2^62, as `limited` has it.
fn held(gradient: f32) -> f32 {
  let bits = bitcast<u32>(gradient);
  return bitcast<f32>((bits & 0x80000000u) | min(bits & 0x7fffffffu, 0x5e800000u));
}

fn is_finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// How many indices of a dimension share a workgroup: of the last one neighbours do, since they lie side by side.
fn width_of(extent: u32, inner: u32) -> u32 {
  return select(1u, 16u, inner == 1u && extent >= 16u);
}

// The accumulator of an index: the largest ν of its elements.
fn accumulate(tensor: Tensor, work: u32, lane: u32) {
  var extents = extents_of(tensor);
  var own = work;
  var first = 0u; // of the dimension's accumulators
  var inner = tensor.count / extents[0];
  var dimension = 0u;
  loop {
    let width = width_of(extents[dimension], inner);
    let works = (extents[dimension] + width - 1u) / width;
    if (own < works || dimension + 1u >= tensor.dimensions) {
      break;
    }
    own -= works;
    first += extents[dimension];
    dimension += 1u;
    inner /= extents[dimension];
  }
  let extent = extents[dimension];
  let width = width_of(extent, inner);
  let index = own * width + lane % width;
  var most = 0.0;
  if (index < extent) {
    let others = tensor.count / extent;
    for (var other = lane / width; other < others; other += 64u / width) {
      let element = (other / inner * extent + index) * inner + other % inner;
      let nu = scratch[tensor.nu + element / 4u];
      most = max(most, nu[element % 4u]);
    }
  }
  maxima[lane] = most;
  workgroupBarrier();
  if (lane < width && index < extent) {
    for (var k = lane; k < 64u; k += width) {
      most = max(most, maxima[k]);
    }
    kept[tensor.accumulator + first + index] = most;
  }
}
