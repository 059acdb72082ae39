// Tensors in blocks of `height` × `width` cells, each with a square matrix on its left and on its right, for the passes of
// rules that multiply. Blocks at the end may reach beyond the tensor: there cells are zero. A side of size 0 has no matrix.
struct Side {
  index: u32, // of the block
  is_right: bool,
  size: u32,
  work: u32, // of its own
}

fn side_at(tensor: Tensor, work: u32, left: u32, right: u32) -> Side {
  let place = work % (left + right);
  let is_right = place >= left;
  let size = select(tensor.left_size, tensor.right_size, is_right);
  return Side(work / (left + right), is_right, size, place - select(0u, left, is_right));
}

fn tiles_of(size: u32) -> u32 {
  return (size + TILE - 1u) / TILE;
}

// By workgroups that multiply to a symmetric result.
fn symmetric_side(tensor: Tensor, work: u32) -> Side {
  let left = tiles_of(tensor.left_size);
  let right = tiles_of(tensor.right_size);
  return side_at(tensor, work, left * (left + 1u) / 2u, right * (right + 1u) / 2u);
}

// A side a workgroup.
fn single_side(tensor: Tensor, work: u32) -> Side {
  return side_at(tensor, work, min(tensor.left_size, 1u), min(tensor.right_size, 1u));
}

fn area_of(size: u32) -> u32 {
  return size * ((size + 3u) / 4u);
}

// The matrix of a side, where those of all sides begin at `first` in `scratch`.
fn matrix_of(tensor: Tensor, side: Side, first: u32) -> Matrix {
  let left = area_of(tensor.left_size);
  let at = side.index * (left + area_of(tensor.right_size)) + select(0u, left, side.is_right);
  return Matrix(first + at, side.size, side.size);
}

// The same in `kept`, where it has no gaps.
fn kept_of(side: Side, left: u32, right: u32) -> u32 {
  return select(left, right, side.is_right) + side.index * side.size * side.size;
}

// Four elements of a row of a side's matrix.
struct SideQuad {
  side: Side,
  elements: u32, // none where there are no more
  at: u32, // vec4f from the matrix's first
  row: u32,
  column: u32,
}

fn side_quad(tensor: Tensor, work: u32, lane: u32) -> SideQuad {
  let side = side_at(tensor, work, (area_of(tensor.left_size) + 63u) / 64u, (area_of(tensor.right_size) + 63u) / 64u);
  let stride = (side.size + 3u) / 4u;
  let at = side.work * 64u + lane;
  let column = 4u * (at % stride);
  return SideQuad(side, select(0u, min(4u, side.size - column), at < area_of(side.size)), at, at / stride, column);
}

// To where it can be multiplied, what is kept of a side.
fn load_side(tensor: Tensor, work: u32, lane: u32, left: u32, right: u32, to_first: u32) {
  let quad = side_quad(tensor, work, lane);
  if (quad.elements == 0u) {
    return;
  }
  let from_first = kept_of(quad.side, left, right) + quad.row * quad.side.size + quad.column;
  var values = vec4f();
  for (var k = 0u; k < quad.elements; k++) {
    values[k] = kept[from_first + k];
  }
  scratch[matrix_of(tensor, quad.side, to_first).first + quad.at] = values;
}

// Four cells of a row of a block.
struct CellQuad {
  inside: bool, // the blocks
  elements: u32, // of them, inside the tensor
  at: u32, // vec4f from the first of all blocks
  element: u32, // from the tensor's first
}

fn cell_quad(tensor: Tensor, work: u32, lane: u32) -> CellQuad {
  let stride = (tensor.width + 3u) / 4u;
  let area = tensor.height * stride;
  let across = (tensor.columns + tensor.width - 1u) / tensor.width;
  let down = (tensor.rows + tensor.height - 1u) / tensor.height;
  let at = work * 64u + lane;
  let index = at / area;
  let quad = 4u * (at % stride);
  let row = index / across * tensor.height + at % area / stride;
  let column = index % across * tensor.width + quad;
  let reaches = index < across * down && row < tensor.rows && column < tensor.columns;
  let most = min(min(4u, tensor.width - quad), tensor.columns - min(column, tensor.columns));
  return CellQuad(index < across * down, select(0u, most, reaches), at, row * tensor.columns + column);
}

fn cells_of(tensor: Tensor, first: u32, index: u32) -> Matrix {
  return Matrix(first + index * tensor.height * ((tensor.width + 3u) / 4u), tensor.height, tensor.width);
}

// GGᵀ on the left and GᵀG on the right, of the blocks of the gradients.
fn gram(tensor: Tensor, work: u32, lane: u32) {
  let side = symmetric_side(tensor, work);
  let cells = cells_of(tensor, tensor.gradient, side.index);
  let result = matrix_of(tensor, side, tensor.gram);
  multiply(Product(result, true, cells, side.is_right, cells, !side.is_right, 1.0, result, 0.0), side.work, lane);
}

// A sum, where nothing is forgotten, or an average; a slow one moves from where it is, so that its fixed point stays.
fn entered(before: f32, value: f32, keeps: f32, weight: f32) -> f32 {
  let moved = before + weight * (value - before);
  return select(keeps * before + weight * value, moved, keeps + weight < 1.5 && weight < 0.25);
}

// What is kept of them.
fn accumulate(tensor: Tensor, work: u32, lane: u32) {
  let quad = side_quad(tensor, work, lane);
  let first = kept_of(quad.side, tensor.left, tensor.right) + quad.row * quad.side.size + quad.column;
  let entering = scratch[matrix_of(tensor, quad.side, tensor.gram).first + quad.at];
  for (var k = 0u; k < quad.elements; k++) {
    kept[first + k] = clamp(entered(kept[first + k], entering[k], scalars.keeps, scalars.weight), -0x1p125f, 0x1p125f);
  }
}
