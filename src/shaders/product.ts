// The matrix product of rules over whole tensors. Text in TypeScript, as the prelude's.

/** Rows and columns of the result that a workgroup makes. */
const TILE = 64;

/** Workgroups that `product` takes for a result of some size. */
export const productTiles = (rows: number, columns: number): number =>
  Math.ceil(rows / TILE) * Math.ceil(columns / TILE);

/** Workgroups that `symmetric_product` takes for a result of so many rows: what lies below the diagonal is mirrored. */
export const symmetricTiles = (rows: number): number => {
  const tiles = Math.ceil(rows / TILE);
  return (tiles * (tiles + 1)) / 2;
};

/**
 * Matrices in `scratch`, and their products. A workgroup of 64 makes 64 × 64 of the result, an invocation four blocks of 4 × 4
 * in registers, from slabs of 16 terms in workgroup memory; of these, too, each invocation loads a block of 4 × 4, turned where
 * the factor lies along the terms. Every element is summed in the order of its terms.
 */
export const PRODUCT = `struct Matrix {
  first: u32, // its first vec4f in scratch; a row is whole vec4f, zero beyond the last column
  rows: u32,
  columns: u32,
}

struct Factor {
  matrix: Matrix,
  turned: bool, // whether it is taken as its transpose
}

// What the product is multiplied by, and what is added to it, as large as the result; not read where its share is 0.
struct Blend {
  scale: f32,
  share: f32,
  added: Matrix,
}

// Four rows of four columns, zero outside.
fn block_of(matrix: Matrix, row: u32, quad: u32) -> mat4x4f {
  let stride = (matrix.columns + 3u) / 4u;
  let at = matrix.first + row * stride + quad;
  var block = mat4x4f();
  if (quad < stride) {
    if (row < matrix.rows) {
      block[0] = scratch[at];
    }
    if (row + 1u < matrix.rows) {
      block[1] = scratch[at + stride];
    }
    if (row + 2u < matrix.rows) {
      block[2] = scratch[at + 2u * stride];
    }
    if (row + 3u < matrix.rows) {
      block[3] = scratch[at + 3u * stride];
    }
  }
  return block;
}

fn put_block(matrix: Matrix, row: u32, quad: u32, block: mat4x4f) {
  let stride = (matrix.columns + 3u) / 4u;
  let at = matrix.first + row * stride + quad;
  if (quad < stride) {
    if (row < matrix.rows) {
      scratch[at] = block[0];
    }
    if (row + 1u < matrix.rows) {
      scratch[at + stride] = block[1];
    }
    if (row + 2u < matrix.rows) {
      scratch[at + 2u * stride] = block[2];
    }
    if (row + 3u < matrix.rows) {
      scratch[at + 3u * stride] = block[3];
    }
  }
}

// By terms, 64 rows of the left factor; behind them likewise 64 columns of the right one.
var<workgroup> product_slabs: array<vec4f, 512>;

// Loads 16 terms of 64 rows or columns. A factor lies along the terms where they are its columns.
fn load_slab(matrix: Matrix, along: bool, start: u32, term: u32, slab: u32, lane: u32) {
  var block: mat4x4f;
  var at = slab;
  if (along) {
    block = transpose(block_of(matrix, start + lane / 4u * 4u, term / 4u + lane % 4u));
    at += lane % 4u * 64u + lane / 4u;
  } else {
    block = block_of(matrix, term + lane / 16u * 4u, start / 4u + lane % 16u);
    at += lane / 16u * 64u + lane % 16u;
  }
  product_slabs[at] = block[0];
  product_slabs[at + 16u] = block[1];
  product_slabs[at + 32u] = block[2];
  product_slabs[at + 48u] = block[3];
}

fn outer(left: vec4f, right: vec4f) -> mat4x4f {
  return mat4x4f(left.x * right, left.y * right, left.z * right, left.w * right);
}

// The blocks of an invocation: upper left, upper right, lower left, lower right, 32 apart.
struct Blocks {
  a: mat4x4f,
  b: mat4x4f,
  c: mat4x4f,
  d: mat4x4f,
}

fn tile_product(left: Factor, right: Factor, row: u32, column: u32, lane: u32) -> Blocks {
  var sums = Blocks();
  let terms = select(left.matrix.columns, left.matrix.rows, left.turned);
  for (var term = 0u; term < terms; term += 16u) {
    workgroupBarrier();
    load_slab(left.matrix, !left.turned, row, term, 0u, lane);
    load_slab(right.matrix, right.turned, column, term, 256u, lane);
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let upper = product_slabs[16u * k + lane / 8u];
      let lower = product_slabs[16u * k + lane / 8u + 8u];
      let near = product_slabs[16u * k + lane % 8u + 256u];
      let far = product_slabs[16u * k + lane % 8u + 264u];
      sums.a += outer(upper, near);
      sums.b += outer(upper, far);
      sums.c += outer(lower, near);
      sums.d += outer(lower, far);
    }
  }
  return sums;
}

fn blend_block(sums: mat4x4f, blend: Blend, row: u32, quad: u32) -> mat4x4f {
  if (blend.share == 0.0) {
    return blend.scale * sums;
  }
  return blend.scale * sums + blend.share * block_of(blend.added, row, quad);
}

fn put_blend(result: Matrix, sums: mat4x4f, blend: Blend, row: u32, quad: u32) {
  put_block(result, row, quad, blend_block(sums, blend, row, quad));
}

// result = scale·left·right + share·added: tile 'work' of it.
fn product(result: Matrix, left: Factor, right: Factor, blend: Blend, work: u32, lane: u32) {
  let across = (result.columns + 63u) / 64u;
  let sums = tile_product(left, right, work / across * 64u, work % across * 64u, lane);
  let row = work / across * 64u + lane / 8u * 4u;
  let quad = work % across * 16u + lane % 8u;
  put_blend(result, sums.a, blend, row, quad);
  put_blend(result, sums.b, blend, row, quad + 8u);
  put_blend(result, sums.c, blend, row + 32u, quad);
  put_blend(result, sums.d, blend, row + 32u, quad + 8u);
}

// A block and its mirror image, of one on the diagonal what lies above it, of one below nothing.
fn put_mirrored(result: Matrix, sums: mat4x4f, blend: Blend, row: u32, quad: u32) {
  if (row > 4u * quad) {
    return;
  }
  let block = blend_block(sums, blend, row, quad);
  var mirrored = transpose(block);
  if (row == 4u * quad) {
    mirrored = mat4x4f(
      block[0],
      vec4f(mirrored[1].x, block[1].yzw),
      vec4f(mirrored[2].xy, block[2].zw),
      vec4f(mirrored[3].xyz, block[3].w),
    );
  } else {
    put_block(result, row, quad, block);
  }
  put_block(result, 4u * quad, row / 4u, mirrored);
}

// The same where the result is symmetric: half the work, and symmetric to the last bit.
fn symmetric_product(result: Matrix, left: Factor, right: Factor, blend: Blend, work: u32, lane: u32) {
  let tiles = (result.columns + 63u) / 64u;
  var place = work;
  var tile = 0u; // of rows; it has one tile of columns less than the one before
  while (place >= tiles - tile) {
    place -= tiles - tile;
    tile += 1u;
  }
  let sums = tile_product(left, right, tile * 64u, (tile + place) * 64u, lane);
  let row = tile * 64u + lane / 8u * 4u;
  let quad = (tile + place) * 16u + lane % 8u;
  put_mirrored(result, sums.a, blend, row, quad);
  put_mirrored(result, sums.b, blend, row, quad + 8u);
  put_mirrored(result, sums.c, blend, row + 32u, quad);
  put_mirrored(result, sums.d, blend, row + 32u, quad + 8u);
}
`;
