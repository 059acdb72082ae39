struct Tensor {
  first: u32,
  rows: u32,
  columns: u32,
  count: u32,
  height: u32, // of a block
  width: u32,
  left_size: u32,
  right_size: u32,
  left: u32, // L = ΣGGᵀ
  right: u32, // R = ΣGᵀG
  left_root: u32, // their inverse roots
  right_root: u32,
  momentum_buffer: u32,
  graft_sq: u32,
  gradient: u32, // cells of all blocks
  average: u32, // with momentum
  image: u32,
  gram: u32, // matrices of all sides; T of the iteration, and what the roots are in the end
  m: u32,
  next_m: u32,
  x: u32,
  next_x: u32,
  squares: u32, // of strips of elements: of what is grafted and of the direction; the first has their ratio
}

const STRIP = 1024u; // elements, a strip a workgroup

var<workgroup> addends: array<vec2f, 64>;

fn total(lane: u32, own: vec2f) -> vec2f {
  addends[lane] = own;
  workgroupBarrier();
  var sum = vec2f();
  for (var k = 0u; k < 64u; k++) {
    sum += addends[k];
  }
  workgroupBarrier();
  return sum;
}

fn most(lane: u32, own: f32) -> f32 {
  addends[lane].x = own;
  workgroupBarrier();
  var largest = 0u;
  for (var k = 0u; k < 64u; k++) {
    // By their bits, which tell of what is not finite.
    largest = max(largest, bitcast<u32>(addends[k].x));
  }
  workgroupBarrier();
  return bitcast<f32>(largest);
}

// The blocks of the gradients and, with momentum, of their average.
fn gather(tensor: Tensor, work: u32, lane: u32) {
  let quad = cell_quad(tensor, work, lane);
  if (!quad.inside) {
    return;
  }
  var gradient = vec4f();
  var average = vec4f();
  for (var k = 0u; k < quad.elements; k++) {
    gradient[k] = directions[tensor.first + quad.element + k];
    if (scalars.momentum > 0.0) {
      let at = tensor.momentum_buffer + quad.element + k;
      average[k] = entered(kept[at], gradient[k], scalars.momentum, scalars.one_minus_momentum);
      kept[at] = average[k];
    }
  }
  scratch[tensor.gradient + quad.at] = gradient;
  if (scalars.momentum > 0.0) {
    scratch[tensor.average + quad.at] = average;
  }
}

// The largest sum of a row, over the peak: no eigenvalue is larger.
fn row_norm(first: u32, size: u32, peak: f32, lane: u32) -> f32 {
  var largest = 0.0;
  for (var column = lane; column < size; column += 64u) {
    var sum = 0.0;
    for (var row = 0u; row < size; row++) {
      sum += abs(kept[first + row * size + column]) / peak;
    }
    largest = max(largest, sum);
  }
  return most(lane, largest);
}

fn identity_at(row: u32, column: u32) -> vec4f {
  return select(vec4f(), vec4f(1.0), vec4u(column, column + 1u, column + 2u, column + 3u) == vec4u(row));
}

// The inverse root of A, what is kept of a side with at least ε of its norm on the diagonal, by the coupled Newton iteration:
// X = I, M = zA with z = (p + 1)/2‖A‖, T = I + (I − M)/p, X ← XT, M ← TᵖM. As M comes to I, X comes to (zA)^(−1/p).
// A matrix a workgroup: it stays with its turns, and other steps cost nothing.
fn find_root(tensor: Tensor, work: u32, lane: u32, turns: u32) {
  if (scalars.refresh == 0.0) {
    return;
  }
  let side = single_side(tensor, work);
  let first = kept_of(side, tensor.left, tensor.right);
  let area = area_of(side.size);
  let stride = (side.size + 3u) / 4u;
  // What is on the diagonal is the largest: over that, nothing leaves f32.
  var highest = scalars.start;
  for (var k = lane; k < side.size; k += 64u) {
    highest = max(highest, abs(kept[first + k * side.size + k]));
  }
  let peak = most(lane, highest);
  let is_zero = peak < 0x1p-120f;
  let norm = row_norm(first, side.size, peak, lane);
  let ridge = max(scalars.start / peak, scalars.eps * norm);
  let is_square = scalars.degree == 2.0;
  let z = 0.5 * (scalars.degree + 1.0) / (norm + ridge);
  let t = matrix_of(tensor, side, tensor.gram);
  var m = matrix_of(tensor, side, tensor.m);
  var next_m = matrix_of(tensor, side, tensor.next_m);
  var x = matrix_of(tensor, side, tensor.x);
  var next_x = matrix_of(tensor, side, tensor.next_x);
  for (var at = lane; at < area; at += 64u) {
    let row = at / stride;
    let column = 4u * (at % stride);
    var values = ridge * identity_at(row, column);
    for (var k = 0u; k < min(4u, side.size - column); k++) {
      values[k] += kept[first + row * side.size + column + k] / peak;
    }
    scratch[m.first + at] = z * values;
    scratch[x.first + at] = identity_at(row, column);
  }
  storageBarrier();
  // Of each turn: T, XT, and Tᵖ·M by T² and T⁴, or of a square root by TM.
  let tiles = tiles_of(side.size);
  for (var round = 0u; round < 4u * turns; round++) {
    let phase = round % 4u;
    if (phase == 0u) {
      for (var at = lane; at < area; at += 64u) {
        let identity = identity_at(at / stride, 4u * (at % stride));
        scratch[t.first + at] = identity + (identity - scratch[m.first + at]) / scalars.degree;
      }
      storageBarrier();
    }
    var product = Product(next_x, true, x, false, t, false, 1.0, t, 0.0);
    if (phase == 1u) {
      product = Product(next_m, true, t, false, t, false, 1.0, t, 0.0);
      if (is_square) {
        product.right = m;
      }
    } else if (phase == 2u) {
      product = Product(t, true, next_m, false, next_m, false, 1.0, t, 0.0);
    } else if (phase == 3u) {
      product = Product(next_m, true, t, false, m, false, 1.0, t, 0.0);
      if (is_square) {
        product.result = m;
        product.right = next_m;
      }
    }
    if (phase != 2u || !is_square) {
      for (var tile = 0u; tile < tiles * (tiles + 1u) / 2u; tile++) {
        multiply(product, tile, lane);
      }
      storageBarrier();
    }
    if (phase == 0u) {
      let other = x;
      x = next_x;
      next_x = other;
    } else if (phase == 3u && !is_square) {
      let other = m;
      m = next_m;
      next_m = other;
    }
  }
  var apart = 0u;
  for (var at = lane; at < area; at += 64u) {
    let own = bitcast<vec4u>(abs(scratch[m.first + at] - identity_at(at / stride, 4u * (at % stride))));
    apart = max(max(max(apart, own.x), max(own.y, own.z)), own.w);
  }
  let distance = most(lane, bitcast<f32>(apart));
  // Where rounding had eigenvalues below 0, the iteration parts, and the root before goes on.
  if (is_zero || distance < 0.1) {
    let root = kept_of(side, tensor.left_root, tensor.right_root);
    let factor = select(sqrt(sqrt(z / peak)), sqrt(z / peak), is_square);
    for (var at = lane; at < area; at += 64u) {
      let column = 4u * (at % stride);
      let values = select(factor * scratch[x.first + at], vec4f(), is_zero);
      for (var k = 0u; k < min(4u, side.size - column); k++) {
        kept[root + at / stride * side.size + column + k] = values[k];
      }
    }
  }
}

fn load_root(tensor: Tensor, work: u32, lane: u32) {
  load_side(tensor, work, lane, tensor.left_root, tensor.right_root, tensor.gram);
}

// The direction of each block: first the root on the left, then that on the right.
fn apply_root(tensor: Tensor, work: u32, lane: u32, round: u32) {
  let each = tiles_of(tensor.height) * tiles_of(tensor.width);
  let index = work / each;
  let is_right = round == 1u;
  let size = select(tensor.left_size, tensor.right_size, is_right);
  let side = Side(index, is_right, size, 0u);
  let root = matrix_of(tensor, side, tensor.gram);
  let cells = cells_of(tensor, select(tensor.gradient, tensor.average, scalars.momentum > 0.0), index);
  let image = cells_of(tensor, tensor.image, index);
  var product = Product(image, false, root, false, cells, false, 1.0, cells, 0.0);
  if (is_right) {
    product = Product(cells, false, image, false, root, false, 1.0, cells, 0.0);
  }
  multiply(product, work % each, lane);
}

fn scatter(tensor: Tensor, work: u32, lane: u32) {
  let quad = cell_quad(tensor, work, lane);
  let values = scratch[select(tensor.gradient, tensor.average, scalars.momentum > 0.0) + quad.at];
  for (var k = 0u; k < quad.elements; k++) {
    directions[tensor.first + quad.element + k] = values[k];
  }
}

// Sums of squares of x over 2^20 and times 2^64, as `norm` of the prelude takes them.
fn squares_of(value: f32) -> vec2f {
  let lowered = 0x1p-20f * value;
  let raised = 0x1p64f * value;
  return vec2f(lowered * lowered, raised * raised);
}

fn length_of(squares: vec2f) -> f32 {
  return select(0x1p20f * sqrt(squares.x), 0x1p-64f * sqrt(squares.y), squares.x < 0x1p-60f);
}

// The step whose length is taken: that of gradients, or of gradients by the root of their squares.
fn measure_graft(tensor: Tensor, work: u32, lane: u32) {
  var sum = vec2f();
  for (var k = work * STRIP + lane; k < min((work + 1u) * STRIP, tensor.count); k += 64u) {
    let gradient = directions[tensor.first + k];
    var value = gradient;
    if (scalars.momentum > 0.0) {
      value = kept[tensor.momentum_buffer + k];
    }
    if (scalars.grafting > 1.0) {
      let before = kept[tensor.graft_sq + k];
      let squares = min(entered(before, gradient * gradient, scalars.graft_keeps, scalars.graft_weight), 1e38);
      kept[tensor.graft_sq + k] = squares;
      value /= sqrt(squares) + scalars.graft_eps;
    }
    sum += squares_of(value);
  }
  let squares = total(lane, sum);
  if (lane == 0u) {
    scratch[tensor.squares + 1u + work] = vec4f(squares, 0.0, 0.0);
  }
}

fn measure_direction(tensor: Tensor, work: u32, lane: u32) {
  var sum = vec2f();
  for (var k = work * STRIP + lane; k < min((work + 1u) * STRIP, tensor.count); k += 64u) {
    sum += squares_of(directions[tensor.first + k]);
  }
  let squares = total(lane, sum);
  if (lane == 0u) {
    scratch[tensor.squares + 1u + work].z = squares.x;
    scratch[tensor.squares + 1u + work].w = squares.y;
  }
}

fn measure_ratio(tensor: Tensor, work: u32, lane: u32) {
  let strips = (tensor.count + STRIP - 1u) / STRIP;
  var grafted = vec2f();
  var direction = vec2f();
  for (var k = lane; k < strips; k += 64u) {
    let squares = scratch[tensor.squares + 1u + k];
    grafted += squares.xy;
    direction += squares.zw;
  }
  let lengths = vec2f(length_of(total(lane, grafted)), length_of(total(lane, direction)));
  if (lane == 0u) {
    scratch[tensor.squares].x = select(lengths.x / lengths.y, 0.0, lengths.y == 0.0);
  }
}

fn scale_direction(tensor: Tensor, work: u32, lane: u32) {
  let ratio = scratch[tensor.squares].x;
  for (var k = work * STRIP + lane; k < min((work + 1u) * STRIP, tensor.count); k += 64u) {
    directions[tensor.first + k] *= ratio;
  }
}
