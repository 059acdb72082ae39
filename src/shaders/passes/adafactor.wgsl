// Of matrices the averages of g² by row and by column, of other tensors that of each element.
struct Tensor {
  first: u32,
  rows: u32,
  columns: u32,
  count: u32,
  factored: u32,
  row_var: u32,
  col_var: u32,
  variance: u32,
  means: u32, // of each matrix: the mean of its rows' averages
  sums: u32, // of each 1024 elements: the shares of mean U² and mean θ²
  factor: u32, // what directions are multiplied by
}

var<workgroup> addends: array<vec2f, 64>;

// The sum of what each `width`th lane has from this one on, in parts.
fn total_of(lane: u32, width: u32) -> vec2f {
  var total = vec2f();
  for (var start = lane; start < 64u; start += 8u * width) {
    var part = vec2f();
    for (var k = start; k < min(start + 8u * width, 64u); k += width) {
      part += addends[k];
    }
    total += part;
  }
  return total;
}

fn is_finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// A share of the mean of g² over `count` elements `stride` apart, added up in parts, whose eighths f32 can square and add.
fn squares(first: u32, stride: u32, count: u32, start: u32, parts: u32) -> f32 {
  let share = 64.0 / f32(count);
  var sum = 0.0;
  for (var begin = start; begin < count; begin += 32u * parts) {
    var part = 0.0;
    for (var n = begin; n < min(begin + 32u * parts, count); n += parts) {
      let eighth = 0.125 * held(directions[first + n * stride]);
      part += eighth * eighth;
    }
    sum += part * share;
  }
  return sum;
}

// The averages by row; of tensors that are not factored those of four elements a lane.
fn average_rows(tensor: Tensor, work: u32, lane: u32) {
  if (tensor.factored == 0u) {
    for (var k = 0u; k < 4u; k++) {
      let element = work * 256u + k * 64u + lane;
      if (element < tensor.count) {
        let gradient = held(directions[tensor.first + element]);
        let at = tensor.variance + element;
        kept[at] = moved(kept[at], gradient * gradient + scalars.added);
      }
    }
    return;
  }
  let own = squares(tensor.first + work * tensor.columns, 1u, tensor.columns, lane, 64u);
  addends[lane] = vec2f(own);
  workgroupBarrier();
  if (lane == 0u) {
    let at = tensor.row_var + work;
    let total = total_of(0u, 1u);
    kept[at] = moved(kept[at], total.x + scalars.added);
  }
}

// The averages of 16 columns, four lanes each; the last workgroup of a matrix takes the mean of those by row.
fn average_columns(tensor: Tensor, work: u32, lane: u32) {
  let works = (tensor.columns + 15u) / 16u + 1u;
  let matrix = work / works;
  let strip = work % works;
  if (strip == works - 1u) {
    var sum = 0.0;
    for (var n = lane; n < tensor.rows; n += 64u) {
      let average = kept[tensor.row_var + matrix * tensor.rows + n];
      sum += average / f32(tensor.rows);
    }
    addends[lane] = vec2f(sum);
    workgroupBarrier();
    if (lane == 0u) {
      let total = total_of(0u, 1u);
      scratch[tensor.means + matrix] = vec4f(total.x);
    }
    return;
  }
  let column = strip * 16u + lane % 16u;
  var own = 0.0;
  if (column < tensor.columns) {
    let first = tensor.first + matrix * tensor.rows * tensor.columns + column;
    own = squares(first, tensor.columns, tensor.rows, lane / 16u, 4u);
  }
  addends[lane] = vec2f(own);
  workgroupBarrier();
  if (lane < 16u && column < tensor.columns) {
    let at = tensor.col_var + matrix * tensor.columns + column;
    let total = total_of(lane, 16u);
    kept[at] = moved(kept[at], total.x + scalars.added);
  }
}

fn variance_of(tensor: Tensor, element: u32) -> f32 {
  if (tensor.factored == 0u) {
    return kept[tensor.variance + element];
  }
  let row = element / tensor.columns;
  let matrix = row / tensor.rows;
  let column = element % tensor.columns;
  let mean_of_rows = scratch[tensor.means + matrix];
  let mean = max(mean_of_rows.x, scalars.mean_floor);
  let share = select(0.0, kept[tensor.row_var + row] / mean, mean > 0.0);
  return share * kept[tensor.col_var + matrix * tensor.columns + column];
}

// U = g/√v, where v is above 0, and its part of the sums over the tensor.
fn normalize(tensor: Tensor, work: u32, lane: u32) {
  var sum = vec2f();
  for (var k = 0u; k < 16u; k++) {
    let element = work * 1024u + k * 64u + lane;
    if (element < tensor.count) {
      let given = directions[tensor.first + element];
      let variance = max(variance_of(tensor, element), scalars.floor);
      let direction = select(0.0, held(given) / sqrt(variance), variance > 0.0);
      let eighth = 0.125 * held(parameters[tensor.first + element]);
      sum += vec2f(direction * direction, eighth * eighth);
      if (is_finite(given)) {
        directions[tensor.first + element] = direction;
      }
    }
  }
  addends[lane] = sum * vec2f(1.0, 64.0) / f32(tensor.count);
  workgroupBarrier();
  if (lane == 0u) {
    scratch[tensor.sums + work] = vec4f(total_of(0u, 1u), 0.0, 0.0);
  }
}

// max(ε2, RMS(θ)) / max(1, RMS(U)/d).
fn measure_tensor(tensor: Tensor, work: u32, lane: u32) {
  let parts = (tensor.count + 1023u) / 1024u;
  var sum = vec2f();
  for (var n = lane; n < parts; n += 64u) {
    let part = scratch[tensor.sums + n];
    sum += part.xy;
  }
  addends[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    let roots = sqrt(total_of(0u, 1u));
    let scale = max(scalars.least_scale, scalars.scale * roots.y);
    scratch[tensor.factor] = vec4f(scale / max(1.0, roots.x * scalars.inverse_threshold));
  }
}

fn scale_directions(tensor: Tensor, work: u32, lane: u32) {
  let factor = scratch[tensor.factor];
  for (var k = 0u; k < 4u; k++) {
    let element = work * 256u + k * 64u + lane;
    if (element < tensor.count) {
      directions[tensor.first + element] *= factor.x;
    }
  }
}
