// The matrix X has the shorter side of the tensor as its rows, so that XXᵀ is small.
struct Tensor {
  first: u32,
  rows: u32,
  columns: u32,
  count: u32,
  squares: u32, // of strips of elements: the sum of squares over a power of two, and that; first of all the tensor's norm
  x: u32,
  next_x: u32,
  gram: u32, // A = XXᵀ
  polynomial: u32, // bA + cA²
}

const STRIP = 4096u; // elements, a strip a workgroup

var<workgroup> addends: array<vec2f, 64>;

// The power of two below a magnitude, at most 2^126, so that f32 holds its reciprocal.
fn binade(magnitude: f32) -> u32 {
  return min(bitcast<u32>(magnitude) & 0x7f800000u, 0x7e800000u);
}
fn reciprocal(binade: u32) -> f32 {
  return bitcast<f32>(0x7f000000u - binade);
}

// The largest of all lanes, by their bits, which tell of what is not finite.
fn largest(lane: u32, magnitude: f32) -> f32 {
  addends[lane].x = magnitude;
  workgroupBarrier();
  var most = 0u;
  for (var k = 0u; k < 64u; k++) {
    most = max(most, bitcast<u32>(addends[k].x));
  }
  workgroupBarrier();
  return bitcast<f32>(most);
}

fn total(lane: u32, value: f32) -> f32 {
  addends[lane].x = value;
  workgroupBarrier();
  var sum = 0.0;
  for (var k = 0u; k < 64u; k++) {
    sum += addends[k].x;
  }
  return sum;
}

fn magnitude_at(at: u32) -> f32 {
  return bitcast<f32>(bitcast<u32>(directions[at]) & 0x7fffffffu);
}

// Squares that neither overflow nor underflow.
fn square(tensor: Tensor, work: u32, lane: u32) {
  let begin = work * STRIP;
  let end = min(begin + STRIP, tensor.count);
  var most = 0u;
  for (var k = begin + lane; k < end; k += 64u) {
    most = max(most, bitcast<u32>(magnitude_at(tensor.first + k)));
  }
  let own = binade(largest(lane, bitcast<f32>(most)));
  var sum = 0.0;
  for (var k = begin + lane; k < end; k += 64u) {
    let scaled = reciprocal(own) * directions[tensor.first + k];
    sum += scaled * scaled;
  }
  let squares = total(lane, sum);
  if (lane == 0u) {
    scratch[tensor.squares + 1u + work] = vec4f(squares, bitcast<f32>(own), 0.0, 0.0);
  }
}

// What X is divided by: the Frobenius norm, and ε that joins it or is the least.
fn norm(tensor: Tensor, work: u32, lane: u32) {
  let strips = (tensor.count + STRIP - 1u) / STRIP;
  var most = 0u;
  for (var k = lane; k < strips; k += 64u) {
    most = max(most, bitcast<u32>(scratch[tensor.squares + 1u + k].y));
  }
  let all = binade(largest(lane, bitcast<f32>(most)));
  var sum = 0.0;
  for (var k = lane; k < strips; k += 64u) {
    let strip = scratch[tensor.squares + 1u + k];
    let ratio = reciprocal(all) * strip.y;
    sum += strip.x * ratio * ratio;
  }
  let length = sqrt(total(lane, sum)) * bitcast<f32>(all);
  if (lane == 0u) {
    scratch[tensor.squares].x = select(length + scalars.eps, max(length, scalars.eps), eps_floor);
  }
}

fn is_turned(tensor: Tensor) -> bool {
  return tensor.rows > tensor.columns;
}

fn x_of(tensor: Tensor, next: bool) -> Matrix {
  let first = select(tensor.x, tensor.next_x, next);
  return Matrix(first, min(tensor.rows, tensor.columns), max(tensor.rows, tensor.columns));
}

// Four elements of a row of X and where they lie in the tensor, apart by `step`; lanes go along the tensor's rows.
struct Quad {
  inside: bool,
  at: u32,
  elements: u32, // of four
  first: u32,
  step: u32,
}

fn quad_of(tensor: Tensor, x: Matrix, work: u32, lane: u32) -> Quad {
  let turned = is_turned(tensor);
  let stride = stride_of(x);
  let index = work * 64u + lane;
  let row = select(index / stride, index % x.rows, turned);
  let column = 4u * select(index % stride, index / x.rows, turned);
  return Quad(
    index < x.rows * stride,
    x.first + row * stride + column / 4u,
    min(4u, x.columns - min(column, x.columns)),
    tensor.first + select(row * tensor.columns + column, column * tensor.columns + row, turned),
    select(1u, tensor.columns, turned),
  );
}

fn begin_x(tensor: Tensor, work: u32, lane: u32) {
  let quad = quad_of(tensor, x_of(tensor, false), work, lane);
  if (quad.inside) {
    let divisor = scratch[tensor.squares].x;
    var values = vec4f();
    for (var k = 0u; k < quad.elements; k++) {
      values[k] = directions[quad.first + k * quad.step];
    }
    scratch[quad.at] = values / divisor;
  }
}

// Rounds of three: A = XXᵀ, bA + cA², and aX + (bA + cA²)X as the next X.
fn iterate(tensor: Tensor, work: u32, lane: u32, round: u32) {
  let x = x_of(tensor, round / 3u % 2u == 1u);
  let next = x_of(tensor, round / 3u % 2u == 0u);
  let gram = Matrix(tensor.gram, x.rows, x.rows);
  let polynomial = Matrix(tensor.polynomial, x.rows, x.rows);
  var product = Product(gram, true, x, false, x, true, 1.0, gram, 0.0);
  if (round % 3u == 1u) {
    product = Product(polynomial, true, gram, false, gram, false, scalars.c, gram, scalars.b);
  } else if (round % 3u == 2u) {
    product = Product(next, false, polynomial, false, x, false, 1.0, x, scalars.a);
  }
  multiply(product, work, lane);
}

// What makes updates of matrices alike that differ in shape.
fn scale_of(tensor: Tensor) -> f32 {
  let ratio = f32(tensor.rows) / f32(tensor.columns);
  switch (scaling) {
    case 1u: { return 0.2 * sqrt(f32(max(tensor.rows, tensor.columns))); }
    case 2u: { return sqrt(max(1.0, 1.0 / ratio)); }
    default: { return sqrt(max(1.0, ratio)); }
  }
}

fn end_x(tensor: Tensor, work: u32, lane: u32, steps: u32) {
  let quad = quad_of(tensor, x_of(tensor, steps % 2u == 1u), work, lane);
  if (quad.inside) {
    let values = scale_of(tensor) * scratch[quad.at];
    for (var k = 0u; k < quad.elements; k++) {
      directions[quad.first + k * quad.step] = values[k];
    }
  }
}
