// The two-loop recursion on products of vectors instead of the vectors themselves (Chen et al. 2014): one pass multiplies what
// is new by all that is kept, one workgroup works out what of each vector the direction takes, and one pass adds that up. Sums
// and scalars are pairs of f32, the second of which holds what the first lost: the recursion takes up roundings.
//
// Pairs are numbered from 0 and lie at their number modulo `pairs`. A tensor that a step left out has no part in its pair.
struct Tensor {
  first: u32,
  rows: u32,
  columns: u32,
  count: u32,
  zero: u32, // 0, which no compiler knows
  pairs: u32, // that are kept, at most
  old_stps: u32, // s = θ − θ₋₁ of each
  old_dirs: u32, // y = g − g₋₁
  prev_parameter: u32,
  prev_flat_grad: u32,
  progress: u32, // the last step that this tensor took, and how many pairs there were after it
  products: u32, // sᵀy and yᵀy of each pair's s or y and each other's y; alike in all tensors
  partials: u32, // of chunks
  gradient: u32,
  header: u32, // of all tensors, as what follows
  totals: u32,
  gram: u32, // `products`
  weights: u32, // what the direction takes of each s and y
}

const CHUNK = 1024u;
const MOST = 512u; // pairs

// Pairs of f32, from operations whose roundings nobody may rearrange.
fn fixed(value: f32, zero: u32) -> f32 {
  return bitcast<f32>(bitcast<u32>(value) | zero);
}
fn sum_of(a: f32, b: f32, zero: u32) -> vec2f {
  let sum = fixed(a + b, zero);
  let other = fixed(sum - a, zero);
  return vec2f(sum, fixed(a - fixed(sum - other, zero), zero) + fixed(b - other, zero));
}
fn joined(high: f32, low: f32, zero: u32) -> vec2f {
  let sum = fixed(high + low, zero);
  return vec2f(sum, low - fixed(sum - high, zero));
}
fn product_of(a: f32, b: f32, zero: u32) -> vec2f {
  let product = fixed(a * b, zero);
  let left = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
  let right = bitcast<f32>(bitcast<u32>(b) & 0xfffff000u);
  let rest = vec2f(a - left, b - right);
  let first = fixed(left * right - product, zero);
  let second = fixed(first + left * rest.y, zero);
  let third = fixed(second + rest.x * right, zero);
  return vec2f(product, third + rest.x * rest.y);
}
fn added(a: vec2f, b: vec2f, zero: u32) -> vec2f {
  let sum = sum_of(a.x, b.x, zero);
  return joined(sum.x, sum.y + (a.y + b.y), zero);
}
fn times(a: vec2f, b: vec2f, zero: u32) -> vec2f {
  let product = product_of(a.x, b.x, zero);
  return joined(product.x, product.y + (a.x * b.y + a.y * b.x), zero);
}
fn over(a: vec2f, b: vec2f, zero: u32) -> vec2f {
  let first = a.x / b.x;
  let rest = added(a, -times(b, vec2f(first, 0.0), zero), zero);
  let second = rest.x / b.x;
  let last = added(rest, -times(b, vec2f(second, 0.0), zero), zero).x / b.x;
  return added(joined(first, second, zero), vec2f(last, 0.0), zero);
}
fn both(a: vec4f, b: vec4f, zero: u32) -> vec4f {
  return vec4f(added(a.xy, b.xy, zero), added(a.zw, b.zw, zero));
}

fn is_finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// What the step before and this one lie apart, where the tensor took both.
struct Pair {
  s: f32,
  y: f32,
}
fn goes_on(tensor: Tensor) -> bool {
  return scalars.last > 0.0 && kept[tensor.progress] == scalars.last;
}
fn pair_of(tensor: Tensor, element: u32, gradient: f32) -> Pair {
  if (!goes_on(tensor)) {
    return Pair();
  }
  let parameter = parameters[tensor.first + element];
  return Pair(parameter - kept[tensor.prev_parameter + element], gradient - kept[tensor.prev_flat_grad + element]);
}

// Whether the newest of so many pairs that lies at a place is one that the tensor has a part in.
fn is_held(tensor: Tensor, place: u32, count: u32) -> bool {
  return place < count && count - 1u - (count - 1u - place) % tensor.pairs < u32(kept[tensor.progress + 1u]);
}

var<workgroup> candidates: array<vec2u, 64>;

// Products as the tensor has them that went along furthest.
fn recall(batch: u32, tensors: u32, work: u32, lane: u32) {
  let tensor = tensor_at(0u);
  let before = select(scratch[tensor.header].x, -1.0, batch == 0u);
  var own = vec2u();
  for (var k = lane; k < tensors; k += 64u) {
    let count = u32(kept[tensor_at(k).progress + 1u]);
    own = select(own, vec2u(count, k), count > own.x);
  }
  candidates[lane] = own;
  workgroupBarrier();
  var most = candidates[0];
  for (var k = 1u; k < 64u; k++) {
    most = select(most, candidates[k], candidates[k].x > most.x);
  }
  if (f32(most.x) <= before) {
    return;
  }
  let furthest = tensor_at(most.y);
  for (var k = lane; k < tensor.pairs * tensor.pairs; k += 64u) {
    let from_here = furthest.products + 4u * k;
    scratch[tensor.gram + k] = vec4f(kept[from_here], kept[from_here + 1u], kept[from_here + 2u], kept[from_here + 3u]);
  }
  if (lane == 0u) {
    scratch[tensor.header] = vec4f(f32(most.x), 0.0, 0.0, 0.0);
  }
}

var<workgroup> parts: array<vec4f, 64>;

fn sum_of_parts(zero: u32) -> vec4f {
  var sum = vec4f();
  for (var k = 0u; k < 64u; k++) {
    sum = both(sum, parts[k], zero);
  }
  return sum;
}

// The products of one vector with the new y and with g, over a chunk: of each s, each y, the new s, the new y; then Σ|g| and gᵀg.
fn measure(tensor: Tensor, work: u32, lane: u32) {
  let units = 2u * tensor.pairs + 3u;
  let unit = work % units;
  let chunk = work / units;
  let stored = unit < 2u * tensor.pairs;
  let used = !stored || is_held(tensor, unit % tensor.pairs, u32(scratch[tensor.header].x));
  let row = select(tensor.old_stps + unit * tensor.count, tensor.old_dirs + (unit - tensor.pairs) * tensor.count, unit >= tensor.pairs);
  let end = select(0u, min((chunk + 1u) * CHUNK, tensor.count), used);
  var sum = vec4f();
  for (var element = chunk * CHUNK + lane; element < end; element += 64u) {
    let gradient = directions[tensor.first + element];
    let pair = pair_of(tensor, element, gradient);
    var values = vec2f(pair.y, gradient);
    var value = gradient;
    if (stored) {
      value = kept[row + element];
    } else if (unit == 2u * tensor.pairs) {
      value = pair.s;
    } else if (unit == 2u * tensor.pairs + 1u) {
      value = pair.y;
    } else {
      values.x = sign(gradient);
    }
    sum = both(sum, vec4f(product_of(value, values.x, tensor.zero), product_of(value, values.y, tensor.zero)), tensor.zero);
  }
  parts[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    scratch[tensor.partials + work] = sum_of_parts(tensor.zero);
  }
}

// The same over all tensors.
fn total(batch: u32, tensors: u32, work: u32, lane: u32) {
  let first = tensor_at(0u);
  let units = 2u * first.pairs + 3u;
  var sum = vec4f();
  for (var k = 0u; k < tensors; k++) {
    let tensor = tensor_at(k);
    for (var chunk = (lane + k) % 64u; chunk * CHUNK < tensor.count; chunk += 64u) {
      sum = both(sum, scratch[tensor.partials + chunk * units + work], first.zero);
    }
  }
  parts[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    let before = select(scratch[first.totals + work], vec4f(), batch == 0u);
    scratch[first.totals + work] = both(before, sum_of_parts(first.zero), first.zero);
  }
}

const LEAST = 1e-10; // of the sᵀy of a pair that is kept

// By age, the newest first.
var<workgroup> alphas: array<vec2f, MOST>;
var<workgroup> along: array<vec2f, MOST>;
var<workgroup> used_pairs: u32;

fn recurse(batch: u32, tensors: u32, work: u32, lane: u32) {
  let tensor = tensor_at(0u);
  let zero = tensor.zero;
  let pairs = tensor.pairs;
  let before = u32(scratch[tensor.header].x);
  let s_new = scratch[tensor.totals + 2u * pairs];
  let y_new = scratch[tensor.totals + 2u * pairs + 1u];
  let norms = scratch[tensor.totals + 2u * pairs + 2u];
  let accepted = s_new.x > LEAST && is_finite(s_new.x) && is_finite(y_new.x);
  let newest = before % pairs;
  let after = before + u32(accepted);
  if (lane == 0u) {
    used_pairs = min(after, pairs);
  }
  for (var k = lane; accepted && k < min(after, pairs); k += 64u) {
    let column = tensor.gram + k * pairs + newest;
    let row = tensor.gram + newest * pairs + k;
    if (k == newest) {
      scratch[column] = vec4f(s_new.xy, y_new.xy);
    } else {
      scratch[column] = vec4f(scratch[tensor.totals + k].xy, scratch[tensor.totals + pairs + k].xy);
      scratch[row] = vec4f(vec2f(), scratch[column].zw);
    }
  }
  storageBarrier();
  let count = workgroupUniformLoad(&used_pairs);
  // sᵀq of each pair, with q = g at first.
  for (var age = lane; age < count; age += 64u) {
    let place = (after - 1u - age) % pairs;
    let is_new = accepted && age == 0u;
    along[age] = select(scratch[tensor.totals + place].zw, s_new.zw, is_new);
  }
  for (var age = 0u; age < count; age++) {
    workgroupBarrier();
    let place = (after - 1u - age) % pairs;
    let alpha = over(along[age], scratch[tensor.gram + place * pairs + place].xy, zero);
    for (var older = lane; older < count; older += 64u) {
      if (older > age) {
        let entry = scratch[tensor.gram + (after - 1u - older) % pairs * pairs + place];
        along[older] = added(along[older], -times(alpha, entry.xy, zero), zero);
      }
    }
    if (lane == 0u) {
      alphas[age] = alpha;
    }
  }
  workgroupBarrier();
  // yᵀr of each pair, with r = γq at first.
  var gamma = vec2f(1.0, 0.0);
  if (count > 0u) {
    let place = (after - 1u) % pairs;
    let entry = scratch[tensor.gram + place * pairs + place];
    gamma = over(entry.xy, entry.zw, zero);
  }
  for (var age = lane; age < count; age += 64u) {
    let place = (after - 1u - age) % pairs;
    var sum = select(scratch[tensor.totals + pairs + place].zw, y_new.zw, accepted && age == 0u);
    for (var other = 0u; other < count; other++) {
      let entry = scratch[tensor.gram + (after - 1u - other) % pairs * pairs + place];
      sum = added(sum, -times(alphas[other], entry.zw, zero), zero);
    }
    along[age] = times(gamma, sum, zero);
  }
  for (var left = count; left > 0u; left--) {
    workgroupBarrier();
    let age = left - 1u;
    let place = (after - 1u - age) % pairs;
    let beta = over(along[age], scratch[tensor.gram + place * pairs + place].xy, zero);
    let weight = added(alphas[age], -beta, zero);
    for (var newer = lane; newer < age; newer += 64u) {
      let entry = scratch[tensor.gram + place * pairs + (after - 1u - newer) % pairs];
      along[newer] = added(along[newer], times(weight, entry.xy, zero), zero);
    }
    if (lane == 0u) {
      scratch[tensor.weights + place] = vec4f(weight, -times(gamma, alphas[age], zero));
    }
  }
  storageBarrier();
  workgroupBarrier();
  if (lane == 0u) {
    var plain = !is_finite(gamma.x);
    for (var place = 0u; place < count; place++) {
      let weight = scratch[tensor.weights + place];
      plain = plain || !is_finite(weight.x) || !is_finite(weight.z);
    }
    let shrinks = scalars.begins > 0.0 && norms.x > 1.0;
    scratch[tensor.header + 1u] = vec4f(gamma.x, select(1.0, 1.0 / norms.x, shrinks), f32(plain), 0.0);
    scratch[tensor.header] = vec4f(f32(before), f32(accepted), f32(after), f32(count));
  }
}

// Hg, four elements an invocation. Where what it takes of vectors leaves f32, the gradient.
fn combine(tensor: Tensor, work: u32, lane: u32) {
  let quad = work * 64u + lane;
  let header = scratch[tensor.header];
  let factors = scratch[tensor.header + 1u];
  let before = u32(header.x);
  let count = u32(header.w);
  let newest = before % tensor.pairs;
  var gradients = vec4f();
  for (var k = 0u; k < 4u; k++) {
    let element = 4u * quad + k;
    if (element >= tensor.count) {
      break;
    }
    let gradient = directions[tensor.first + element];
    gradients[k] = gradient;
    let fresh = pair_of(tensor, element, gradient);
    var sum = factors.x * gradient;
    for (var place = 0u; place < count; place++) {
      let weight = scratch[tensor.weights + place];
      var pair = fresh;
      if (header.y == 0.0 || place != newest) {
        let at = place * tensor.count + element;
        pair = Pair(kept[tensor.old_stps + at], kept[tensor.old_dirs + at]);
        if (!is_held(tensor, place, before)) {
          pair = Pair();
        }
      }
      sum += weight.x * pair.s + weight.z * pair.y;
    }
    directions[tensor.first + element] = factors.y * select(sum, gradient, factors.z > 0.0 || !is_finite(sum));
  }
  if (4u * quad < tensor.count) {
    scratch[tensor.gradient + quad] = gradients;
  }
}

// Takes down the pair, and where the next one begins.
fn keep(tensor: Tensor, work: u32, lane: u32) {
  let element = work * 64u + lane;
  if (element >= tensor.count) {
    return;
  }
  let header = scratch[tensor.header];
  let before = u32(header.x);
  let gradient = scratch[tensor.gradient + element / 4u][element % 4u];
  let pair = pair_of(tensor, element, gradient);
  for (var place = 0u; place < min(before, tensor.pairs); place++) {
    if (!is_held(tensor, place, before)) {
      kept[tensor.old_stps + place * tensor.count + element] = 0.0;
      kept[tensor.old_dirs + place * tensor.count + element] = 0.0;
    }
  }
  if (header.y > 0.0) {
    let at = before % tensor.pairs * tensor.count + element;
    kept[tensor.old_stps + at] = pair.s;
    kept[tensor.old_dirs + at] = pair.y;
  }
  kept[tensor.prev_parameter + element] = parameters[tensor.first + element];
  kept[tensor.prev_flat_grad + element] = gradient;
}

fn note(tensor: Tensor, work: u32, lane: u32) {
  let header = scratch[tensor.header];
  for (var k = lane; k < 4u * tensor.pairs * tensor.pairs; k += 64u) {
    kept[tensor.products + k] = scratch[tensor.gram + k / 4u][k % 4u];
  }
  if (lane == 0u) {
    kept[tensor.progress] = scalars.step;
    kept[tensor.progress + 1u] = header.z;
  }
}
