struct Tensor {
  first: u32,
  rows: u32,
  columns: u32,
  count: u32,
  height: u32, // of the one block, the tensor itself
  width: u32,
  left_size: u32, // 0 where that side keeps its axes
  right_size: u32,
  left: u32, // L and R, averages of GGᵀ and GᵀG
  right: u32,
  left_basis: u32, // their eigenvectors, as columns
  right_basis: u32,
  exp_avg: u32,
  exp_avg_sq: u32, // in the basis
  gradient: u32, // cells: the gradient, and what it is between the bases
  image: u32,
  turned: u32,
  average: u32, // the first moment and, in turn, what it becomes
  other_average: u32,
  gram: u32, // matrices of both sides; L and R
  basis: u32,
  power: u32, // L·basis
}

const LONGEST = 1024u; // side that has a basis
const FIRST_TURNS = 8u; // orthogonal iterations that the first basis takes

var<workgroup> addends: array<f32, 64>;
var<workgroup> column: array<f32, 1024>;
var<workgroup> shares: array<vec4f, 256>; // of the column along those before

// The sum over all lanes, by which all may go one way.
fn total(lane: u32, own: f32) -> f32 {
  addends[lane] = own;
  workgroupBarrier();
  if (lane == 0u) {
    var sum = 0.0;
    for (var k = 0u; k < 64u; k++) {
      sum += addends[k];
    }
    addends[0] = sum;
  }
  return workgroupUniformLoad(&addends[0]);
}

// The gradient, and the first moment with it.
fn gather(tensor: Tensor, work: u32, lane: u32) {
  let quad = cell_quad(tensor, work, lane);
  if (!quad.inside) {
    return;
  }
  var gradient = vec4f();
  var average = vec4f();
  for (var k = 0u; k < quad.elements; k++) {
    gradient[k] = directions[tensor.first + quad.element + k];
    let at = tensor.exp_avg + quad.element + k;
    if (scalars.begins == 0.0) {
      kept[at] = entered(kept[at], gradient[k], scalars.beta1, scalars.one_minus_beta1);
    }
    average[k] = kept[at];
  }
  scratch[tensor.gradient + quad.at] = gradient;
  scratch[tensor.average + quad.at] = average;
}

fn load_basis(tensor: Tensor, work: u32, lane: u32) {
  load_side(tensor, work, lane, tensor.left_basis, tensor.right_basis, tensor.basis);
}

// Where gradient and first moment lie after so many products.
fn gradient_after(tensor: Tensor, products: u32) -> u32 {
  return select(select(tensor.turned, tensor.image, products == 1u), tensor.gradient, products == 0u);
}

fn average_after(tensor: Tensor, products: u32) -> u32 {
  return select(tensor.average, tensor.other_average, products % 2u == 1u);
}

// Rounds: into the basis on the left and on the right, first moments and gradients in turn; then the direction out of it.
fn turn_cells(tensor: Tensor, work: u32, lane: u32, round: u32) {
  let both = select(1u, 2u, round < 2u);
  let is_gradient = work % both == 1u;
  let is_right = round % 2u == 1u;
  let is_back = round >= 2u;
  let size = select(tensor.left_size, tensor.right_size, is_right);
  let side = Side(0u, is_right, size, 0u);
  let basis = matrix_of(tensor, side, tensor.basis);
  let left = min(tensor.left_size, 1u);
  let right = min(tensor.right_size, 1u);
  let products = select(0u, left, is_right) + select(0u, left + right, is_back);
  var from_at = average_after(tensor, products);
  var to_at = average_after(tensor, products + 1u);
  if (is_gradient) {
    from_at = gradient_after(tensor, products);
    to_at = gradient_after(tensor, products + 1u);
  }
  let cells = cells_of(tensor, from_at, 0u);
  let result = cells_of(tensor, to_at, 0u);
  var product = Product(result, false, basis, !is_back, cells, false, 1.0, cells, 0.0);
  if (is_right) {
    product = Product(result, false, cells, false, basis, is_back, 1.0, cells, 0.0);
  }
  multiply(product, work / both, lane);
}

// Adam between the bases.
fn adapt(tensor: Tensor, work: u32, lane: u32) {
  let quad = cell_quad(tensor, work, lane);
  if (!quad.inside || scalars.begins != 0.0) {
    return;
  }
  let products = min(tensor.left_size, 1u) + min(tensor.right_size, 1u);
  let gradient = scratch[gradient_after(tensor, products) + quad.at];
  let at = average_after(tensor, products) + quad.at;
  var direction = scratch[at];
  for (var k = 0u; k < quad.elements; k++) {
    let before = kept[tensor.exp_avg_sq + quad.element + k];
    let square = min(gradient[k] * gradient[k], 1e38);
    let squares = entered(before, square, scalars.beta2, scalars.one_minus_beta2);
    kept[tensor.exp_avg_sq + quad.element + k] = squares;
    direction[k] /= sqrt(squares) + scalars.eps;
  }
  scratch[at] = direction;
}

fn scatter(tensor: Tensor, work: u32, lane: u32) {
  let quad = cell_quad(tensor, work, lane);
  let values = scratch[tensor.average + quad.at];
  for (var k = 0u; k < quad.elements; k++) {
    directions[tensor.first + quad.element + k] = select(values[k], 0.0, scalars.begins != 0.0);
  }
}

// Takes off the column what it has of the first `count` columns of the basis; its length.
fn orthogonalize(basis: Matrix, count: u32, lane: u32) -> f32 {
  let stride = stride_of(basis);
  for (var quad = lane; quad < (count + 3u) / 4u; quad += 64u) {
    var share = vec4f();
    for (var row = 0u; row < basis.rows; row++) {
      share += column[row] * scratch[basis.first + row * stride + quad];
    }
    let places = 4u * quad + vec4u(0u, 1u, 2u, 3u);
    shares[quad] = select(vec4f(), share, places < vec4u(count));
  }
  workgroupBarrier();
  var squares = 0.0;
  for (var row = lane; row < basis.rows; row += 64u) {
    var along = 0.0;
    for (var quad = 0u; quad < (count + 3u) / 4u; quad++) {
      along += dot(shares[quad], scratch[basis.first + row * stride + quad]);
    }
    let rest = column[row] - along;
    column[row] = rest;
    squares += rest * rest;
  }
  return sqrt(total(lane, squares));
}

// The axis that the first columns of the basis have least of.
fn free_axis(basis: Matrix, count: u32, lane: u32) -> u32 {
  var least = 2.0;
  var axis = basis.rows;
  for (var row = lane; row < basis.rows; row += 64u) {
    var squares = 0.0;
    for (var quad = 0u; quad < (count + 3u) / 4u; quad++) {
      let places = 4u * quad + vec4u(0u, 1u, 2u, 3u);
      let cells = select(vec4f(), scratch[basis.first + row * stride_of(basis) + quad], places < vec4u(count));
      squares += dot(cells, cells);
    }
    if (squares < least) {
      least = squares;
      axis = row;
    }
  }
  addends[lane] = least;
  shares[lane].x = f32(axis);
  workgroupBarrier();
  var best = 0u;
  for (var k = 1u; k < 64u; k++) {
    let is_less = addends[k] < addends[best] || (addends[k] == addends[best] && shares[k].x < shares[best].x);
    best = select(best, k, is_less);
  }
  let found = u32(shares[best].x);
  workgroupBarrier();
  return found;
}

// The orthogonal factor of `power`, whose triangular one has no sign below 0, by Gram–Schmidt twice. A column that the ones
// before leave nothing of becomes an axis that they do.
fn factor(power: Matrix, basis: Matrix, lane: u32) {
  let stride = stride_of(power);
  for (var k = 0u; k < power.columns; k++) {
    var largest = 0.0;
    for (var row = lane; row < power.rows; row += 64u) {
      column[row] = scratch[power.first + row * stride + k / 4u][k % 4u];
    }
    workgroupBarrier();
    for (var row = 0u; row < power.rows; row++) {
      largest = max(largest, abs(column[row]));
    }
    workgroupBarrier();
    // Over its largest element, so that squares neither overflow nor underflow.
    let by = select(1.0 / largest, 0.0, largest < 0x1p-120f);
    for (var row = lane; row < power.rows; row += 64u) {
      column[row] *= by;
    }
    workgroupBarrier();
    let once = orthogonalize(basis, k, lane);
    var length = orthogonalize(basis, k, lane);
    if (!(length > 0.5 * once && length > 0x1p-22f)) {
      let axis = free_axis(basis, k, lane);
      for (var row = lane; row < power.rows; row += 64u) {
        column[row] = select(0.0, 1.0, row == axis);
      }
      workgroupBarrier();
      length = orthogonalize(basis, k, lane);
      length = orthogonalize(basis, k, lane);
    }
    for (var row = lane; row < power.rows; row += 64u) {
      // Each row is one invocation's own, the columns beside it too.
      scratch[basis.first + row * stride + k / 4u][k % 4u] = column[row] / length;
    }
    storageBarrier();
    workgroupBarrier();
  }
}

// Turns the basis by one orthogonal iteration, and begins it by some from the axes. A matrix a workgroup.
fn find_basis(tensor: Tensor, work: u32, lane: u32) {
  if (scalars.refresh == 0.0) {
    return;
  }
  let side = single_side(tensor, work);
  let first = kept_of(side, tensor.left, tensor.right);
  let matrix = matrix_of(tensor, side, tensor.gram);
  let basis = matrix_of(tensor, side, tensor.basis);
  let power = matrix_of(tensor, side, tensor.power);
  let stride = stride_of(matrix);
  for (var at = lane; at < area_of(side.size); at += 64u) {
    let column = 4u * (at % stride);
    var values = vec4f();
    for (var k = 0u; k < min(4u, side.size - column); k++) {
      values[k] = kept[first + at / stride * side.size + column + k];
    }
    scratch[matrix.first + at] = values;
    if (scalars.begins != 0.0) {
      scratch[basis.first + at] = vec4f(vec4u(column, column + 1u, column + 2u, column + 3u) == vec4u(at / stride));
    }
  }
  storageBarrier();
  let tiles = tiles_of(side.size);
  for (var turn = 0u; turn < select(1u, FIRST_TURNS, scalars.begins != 0.0); turn++) {
    for (var tile = 0u; tile < tiles * tiles; tile++) {
      multiply(Product(power, false, matrix, false, basis, false, 1.0, power, 0.0), tile, lane);
    }
    storageBarrier();
    factor(power, basis, lane);
  }
  let result = kept_of(side, tensor.left_basis, tensor.right_basis);
  for (var at = lane; at < area_of(side.size); at += 64u) {
    let column = 4u * (at % stride);
    let values = scratch[basis.first + at];
    for (var k = 0u; k < min(4u, side.size - column); k++) {
      kept[result + at / stride * side.size + column + k] = values[k];
    }
  }
}
