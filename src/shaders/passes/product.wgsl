// Products of matrices in `scratch`, for the passes of rules. A workgroup makes 64 × 64 of the result, an invocation four
// blocks of 4 × 4 in registers, from slabs of 8 terms in workgroup memory, of which each loads one block. Every element is
// summed in the order of its terms. A software adapter takes its time over workgroup memory: it is as small as it can be.
const TILE = 64u;
const SLAB = 8u;

struct Matrix {
  first: u32, // its first vec4f; a row is whole vec4f, zero beyond the last column
  rows: u32,
  columns: u32,
}

// result = scale·left·right + share·added.
struct Product {
  result: Matrix,
  symmetric: bool, // whether the result is known to be, and what is added: half of it is made, and mirrored
  left: Matrix,
  left_turned: bool, // whether it is taken as its transpose
  right: Matrix,
  right_turned: bool,
  scale: f32,
  added: Matrix, // as large as the result, and not read where its share is 0
  share: f32,
}

fn stride_of(matrix: Matrix) -> u32 {
  return (matrix.columns + 3u) / 4u;
}

// Four rows of four columns, zero outside.
fn block_of(matrix: Matrix, row: u32, quad: u32) -> mat4x4f {
  let stride = stride_of(matrix);
  let at = matrix.first + row * stride + quad;
  let rows = select(0u, matrix.rows, quad < stride);
  return mat4x4f(
    select(vec4f(), scratch[at], row < rows),
    select(vec4f(), scratch[at + stride], row + 1u < rows),
    select(vec4f(), scratch[at + 2u * stride], row + 2u < rows),
    select(vec4f(), scratch[at + 3u * stride], row + 3u < rows),
  );
}

fn put_block(matrix: Matrix, row: u32, quad: u32, cells: mat4x4f) {
  let stride = stride_of(matrix);
  let at = matrix.first + row * stride + quad;
  let rows = select(0u, matrix.rows, quad < stride);
  if (row < rows) {
    scratch[at] = cells[0];
  }
  if (row + 1u < rows) {
    scratch[at + stride] = cells[1];
  }
  if (row + 2u < rows) {
    scratch[at + 2u * stride] = cells[2];
  }
  if (row + 3u < rows) {
    scratch[at + 3u * stride] = cells[3];
  }
}

// By terms, 64 rows of the left factor; behind them likewise 64 columns of the right one.
var<workgroup> slabs: array<vec4f, 256>;

fn outer(left: vec4f, right: vec4f) -> mat4x4f {
  return mat4x4f(left.x * right, left.y * right, left.z * right, left.w * right);
}

// Puts a block of the result, and its mirror image; of one on the diagonal, what lies above that twice.
fn put_result(product: Product, sums: mat4x4f, row: u32, quad: u32) {
  if (product.symmetric && row > 4u * quad) {
    return;
  }
  var cells = product.scale * sums;
  if (product.share != 0.0) {
    cells += product.share * block_of(product.added, row, quad);
  }
  if (product.symmetric) {
    let mirrored = transpose(cells);
    if (row == 4u * quad) {
      cells[1] = vec4f(mirrored[1].x, cells[1].yzw);
      cells[2] = vec4f(mirrored[2].xy, cells[2].zw);
      cells[3] = vec4f(mirrored[3].xyz, cells[3].w);
    } else {
      put_block(product.result, 4u * quad, row / 4u, mirrored);
    }
  }
  put_block(product.result, row, quad, cells);
}

// The tile of a workgroup: row and column of its first element.
fn tile_at(product: Product, work: u32) -> vec2u {
  let across = (product.result.columns + TILE - 1u) / TILE;
  if (!product.symmetric) {
    return TILE * vec2u(work / across, work % across);
  }
  // Each row of tiles has one less than the one before.
  var row = 0u;
  var place = work;
  while (place >= across - row) {
    place -= across - row;
    row += 1u;
  }
  return TILE * vec2u(row, row + place);
}

fn multiply(product: Product, work: u32, lane: u32) {
  let tile = tile_at(product, work);
  // One half of the invocations loads the left factor, the other the right one.
  let own = lane % 32u;
  let is_right = lane >= 32u;
  var factor = product.left;
  if (is_right) {
    factor = product.right;
  }
  // Whether its columns are the terms.
  let along = select(!product.left_turned, product.right_turned, is_right);
  let start = select(tile.x, tile.y, is_right);
  let slot = select(own / 16u * 64u + own % 16u, own % 2u * 64u + own / 2u, along) + lane / 32u * 128u;
  let terms = select(product.left.columns, product.left.rows, product.left_turned);
  var a = mat4x4f();
  var b = mat4x4f();
  var c = mat4x4f();
  var d = mat4x4f();
  for (var term = 0u; term < terms; term += SLAB) {
    let row = select(term + own / 16u * 4u, start + own / 2u * 4u, along);
    let quad = select(start / 4u + own % 16u, term / 4u + own % 2u, along);
    var cells = block_of(factor, row, quad);
    if (along) {
      cells = transpose(cells);
    }
    workgroupBarrier();
    slabs[slot] = cells[0];
    slabs[slot + 16u] = cells[1];
    slabs[slot + 32u] = cells[2];
    slabs[slot + 48u] = cells[3];
    workgroupBarrier();
    for (var k = 0u; k < SLAB; k++) {
      let upper = slabs[16u * k + lane / 8u];
      let lower = slabs[16u * k + lane / 8u + 8u];
      let near = slabs[16u * k + lane % 8u + 128u];
      let far = slabs[16u * k + lane % 8u + 136u];
      a += outer(upper, near);
      b += outer(upper, far);
      c += outer(lower, near);
      d += outer(lower, far);
    }
  }
  let row = tile.x + lane / 8u * 4u;
  let quad = tile.y / 4u + lane % 8u;
  // In a loop: written out four times it would be most of what a driver has to compile.
  var blocks = array(a, b, c, d);
  for (var k = 0u; k < 4u; k++) {
    put_result(product, blocks[k], row + k / 2u * 32u, quad + k % 2u * 8u);
  }
}
