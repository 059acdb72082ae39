// Centralization: of each unit g minus its mean.
fn center_units(tensor: Tensor) -> Units {
  return units_of(tensor.center_units, tensor.center_length, tensor.center_across);
}

// Sums of g times a power of two, which do not leave f32.
fn measure_means(tensor: Tensor, work: u32, lane: u32) {
  let units = center_units(tensor);
  let place = place_of(units, work / units.parts, lane);
  let part = work % units.parts;
  let range = part_of(units, part, place.lane);
  var sum = 0.0;
  if (place.unit < units.count) {
    for (var k = range.x; k < range.y; k += units.lanes) {
      sum += 0x1p-20f * directions[tensor.first + element_of(units, place.unit, k)];
    }
  }
  addends[lane] = mat2x4f(vec4f(sum), vec4f());
  workgroupBarrier();
  if (place.lane == 0u && place.unit < units.count) {
    scratch[tensor.units + place.unit * units.parts + part] = total_of(units, lane)[0];
  }
}

fn settle_means(tensor: Tensor, work: u32, lane: u32) {
  let units = center_units(tensor);
  let place = place_of(units, work, lane);
  let first = tensor.units + place.unit * units.parts;
  var sum = vec4f();
  if (place.unit < units.count) {
    for (var part = place.lane; part < units.parts; part += units.lanes) {
      sum += scratch[first + part];
    }
  }
  addends[lane] = mat2x4f(sum, vec4f());
  workgroupBarrier();
  if (place.lane == 0u && place.unit < units.count) {
    scratch[first] = 0x1p20f * (total_of(units, lane)[0] / f32(units.length));
  }
}

fn centralize(tensor: Tensor, work: u32, lane: u32) {
  let units = center_units(tensor);
  for (var k = 0u; k < 4u; k++) {
    let element = work * 256u + k * 64u + lane;
    if (element < tensor.count) {
      let mean = scratch[tensor.units + unit_of(units, element) * units.parts];
      directions[tensor.first + element] -= mean.x;
    }
  }
}
