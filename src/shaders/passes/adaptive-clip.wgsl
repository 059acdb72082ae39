// Adaptive clipping: of each unit g to at most λ·max(‖θ‖, ε).
fn clip_units(tensor: Tensor) -> Units {
  return units_of(tensor.clip_units, tensor.clip_length, tensor.clip_across);
}

// x² three times: as it is, and of what f32 cannot square lowered and raised.
fn squares(value: f32) -> vec4f {
  let scaled = vec3f(value, 0x1p-76f * value, 0x1p76f * value);
  return vec4f(scaled * scaled, 0.0);
}

// The root of a sum of them; larger norms than f32 holds count as the largest.
fn norm_of(squares: vec4f) -> f32 {
  let plain = bitcast<u32>(squares.x);
  if (!is_finite(squares.y)) {
    return squares.y;
  }
  if (plain > 0x7f000000u) {
    return min(sqrt(squares.y), 0x1.fffffep+51f) * 0x1p76f;
  }
  return select(sqrt(squares.x), sqrt(squares.z) * 0x1p-76f, plain < 0x0f800000u);
}

fn measure_norms(tensor: Tensor, work: u32, lane: u32) {
  let units = clip_units(tensor);
  let place = place_of(units, work / units.parts, lane);
  let part = work % units.parts;
  let range = part_of(units, part, place.lane);
  var gradient = vec4f();
  var parameter = vec4f();
  if (place.unit < units.count) {
    for (var k = range.x; k < range.y; k += units.lanes) {
      let at = tensor.first + element_of(units, place.unit, k);
      gradient += squares(directions[at]);
      parameter += squares(parameters[at]);
    }
  }
  addends[lane] = mat2x4f(gradient, parameter);
  workgroupBarrier();
  if (place.lane == 0u && place.unit < units.count) {
    let at = tensor.units + 2u * (place.unit * units.parts + part);
    let total = total_of(units, lane);
    scratch[at] = total[0];
    scratch[at + 1u] = total[1];
  }
}

fn settle_norms(tensor: Tensor, work: u32, lane: u32) {
  let units = clip_units(tensor);
  let place = place_of(units, work, lane);
  let first = tensor.units + 2u * place.unit * units.parts;
  var gradient = vec4f();
  var parameter = vec4f();
  if (place.unit < units.count) {
    for (var part = place.lane; part < units.parts; part += units.lanes) {
      gradient += scratch[first + 2u * part];
      parameter += scratch[first + 2u * part + 1u];
    }
  }
  addends[lane] = mat2x4f(gradient, parameter);
  workgroupBarrier();
  if (place.lane == 0u && place.unit < units.count) {
    let total = total_of(units, lane);
    let limit = tensor.clipping * max(norm_of(total[1]), tensor.eps);
    scratch[first] = vec4f(clip_factor(norm_of(total[0]), limit, OPTAX_NORM), 0.0, 0.0);
  }
}

fn clip(tensor: Tensor, work: u32, lane: u32) {
  let units = clip_units(tensor);
  for (var k = 0u; k < 4u; k++) {
    let element = work * 256u + k * 64u + lane;
    if (element < tensor.count) {
      let factor = scratch[tensor.units + 2u * unit_of(units, element) * units.parts];
      let given = directions[tensor.first + element];
      // What is not finite stays so, whatever it is multiplied by.
      directions[tensor.first + element] = select(given, factor.y * (factor.x * given), is_finite(given));
    }
  }
}
