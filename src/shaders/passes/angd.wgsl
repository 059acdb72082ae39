// A tensor is cut into tiles of `columns` elements, the last of which may be shorter; each has its own H. Only one half of it
// is worked out, and written twice: symmetric to the last bit.
struct Tensor {
  first: u32,
  rows: u32, // tiles
  columns: u32,
  count: u32,
  inverse_fisher: u32,
  image: u32, // of each element: its row of H times h, h, and the diagonal of H
}

var<workgroup> addends: array<vec2f, 64>;

struct Tile {
  first: u32, // element, from the tensor's first
  matrix: u32, // its H
  size: u32,
  row: u32, // of this invocation
  inside: bool,
}

fn tile_of(tensor: Tensor, work: u32, lane: u32) -> Tile {
  let chunks = (tensor.columns + 63u) / 64u;
  let tile = work / chunks;
  let first = tile * tensor.columns;
  let size = min(tensor.columns, tensor.count - first);
  let row = work % chunks * 64u + lane;
  return Tile(first, tensor.inverse_fisher + first * tensor.columns, size, row, row < size);
}

// The image of the gradients: Hg, a row an invocation; by symmetry down a column, where invocations read side by side.
fn precondition(tensor: Tensor, work: u32, lane: u32) {
  let tile = tile_of(tensor, work, lane);
  if (!tile.inside) {
    return;
  }
  let own = directions[tensor.first + tile.first + tile.row];
  var image = scalars.start * own;
  var diagonal = scalars.start;
  if (scalars.begins == 0.0) {
    image = 0.0;
    for (var start = 0u; start < tile.size; start += 32u) {
      var part = 0.0;
      for (var k = start; k < min(start + 32u, tile.size); k++) {
        part += kept[tile.matrix + k * tensor.columns + tile.row] * directions[tensor.first + tile.first + k];
      }
      image += part;
    }
    diagonal = kept[tile.matrix + tile.row * tensor.columns + tile.row];
  }
  scratch[tensor.image + tile.first + tile.row] = vec4f(image, own, diagonal, 0.0);
}

// The direction of the step; the first one writes the H that it went by.
fn direct_along(tensor: Tensor, work: u32, lane: u32) {
  let tile = tile_of(tensor, work, lane);
  if (!tile.inside) {
    return;
  }
  directions[tensor.first + tile.first + tile.row] = scratch[tensor.image + tile.first + tile.row].x;
  if (scalars.begins != 0.0) {
    for (var k = 0u; k < tile.size; k++) {
      kept[tile.matrix + tile.row * tensor.columns + k] = select(0.0, scalars.start, k == tile.row);
    }
  }
}

// hᵀHh of the tile, the same in all of its workgroups; and the most that a (Hh)ₖ²/Hₖₖ is, which is no more as long as H is
// positive definite. Where rounding has it otherwise, the latter counts: no diagonal falls to zero.
fn product(tensor: Tensor, tile: Tile, lane: u32) -> vec2f {
  var sum = 0.0;
  var most = 0.0;
  for (var k = lane; k < tile.size; k += 64u) {
    let image = scratch[tensor.image + tile.first + k];
    sum += image.x * image.y;
    most = max(most, select(image.x * image.x / image.z, 0.0, image.x == 0.0));
  }
  addends[lane] = vec2f(sum, most);
  workgroupBarrier();
  var total = vec2f();
  for (var k = 0u; k < 64u; k++) {
    total = vec2f(total.x + addends[k].x, max(total.y, addends[k].y));
  }
  return vec2f(total.x, max(total.x, total.y));
}

fn is_finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// H ← H + gain·H − part·uuᵀ of a row up to the diagonal, with u = Hh.
const LEAST = 0x1p-100f; // of the diagonal
fn change(tensor: Tensor, tile: Tile, gain: f32, part: f32) {
  let own = scratch[tensor.image + tile.first + tile.row].x;
  for (var k = 0u; k <= tile.row; k++) {
    let other = scratch[tensor.image + tile.first + k].x;
    let at = tile.matrix + tile.row * tensor.columns + k;
    var after = kept[at] + (gain * kept[at] - part * own * other);
    if (k == tile.row) {
      after = max(after, LEAST);
    }
    kept[at] = after;
    kept[tile.matrix + k * tensor.columns + tile.row] = after;
  }
}

// At most so much of δ·hᵀHh counts in a step: where it takes more digits off H than f32 has, H would be no inverse any more.
const MOST = 4096.0;
fn counted(keeps: f32, weight: f32, total: vec2f) -> f32 {
  let squared = weight * total.y;
  return keeps * max(1.0, squared / MOST) + squared;
}

// H ← (H − δ·Hh(Hh)ᵀ/((1 − δ) + δ·hᵀHh))/(1 − δ), or to first order (1 + δ)H − δ·Hh(Hh)ᵀ. A product that is not finite
// leaves H as it is.
fn adapt(tensor: Tensor, work: u32, lane: u32) {
  let tile = tile_of(tensor, work, lane);
  let total = product(tensor, tile, lane);
  if (tile.inside && is_finite(total.x)) {
    let exact = scalars.gain / counted(scalars.kept, scalars.delta, total);
    change(tensor, tile, scalars.gain, select(exact, scalars.delta, first_order));
  }
}

// The same for another output's gradient of the same step: the estimate is a sum over outputs.
fn adapt_further(tensor: Tensor, work: u32, lane: u32) {
  let tile = tile_of(tensor, work, lane);
  let total = product(tensor, tile, lane);
  if (tile.inside && is_finite(total.x)) {
    let exact = scalars.delta / counted(1.0, scalars.delta, total);
    change(tensor, tile, 0.0, select(exact, scalars.delta, first_order));
  }
}

// The unit vector that damping takes its turn with, so that on average λ is in each direction. By multiples of the golden
// ratio: whichever steps adapt, every tenth say, no element is left out.
fn turn(tile: Tile) -> u32 {
  return (((u32(scalars.cycle) * 2654435769u) >> 16u) * tile.size) >> 16u;
}

fn dampened_image(tensor: Tensor, work: u32, lane: u32) {
  let tile = tile_of(tensor, work, lane);
  if (tile.inside) {
    let at = turn(tile);
    let image = kept[tile.matrix + at * tensor.columns + tile.row];
    let diagonal = kept[tile.matrix + tile.row * tensor.columns + tile.row];
    scratch[tensor.image + tile.first + tile.row] = vec4f(image, select(0.0, 1.0, tile.row == at), diagonal, 0.0);
  }
}

fn dampen(tensor: Tensor, work: u32, lane: u32) {
  let tile = tile_of(tensor, work, lane);
  let total = product(tensor, tile, lane);
  if (tile.inside && is_finite(total.x)) {
    let weight = scalars.dampened * f32(tile.size);
    change(tensor, tile, 0.0, weight / counted(1.0, weight, total));
  }
}
