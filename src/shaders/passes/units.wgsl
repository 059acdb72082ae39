// Guards by unit: a unit is what one output reads, of a vector all of it. In memory, units follow each other, or their elements
// take turns: they lie across.
struct Tensor {
  first: u32,
  rows: u32,
  columns: u32,
  count: u32,
  clip_units: u32,
  clip_length: u32,
  clip_across: u32,
  clipping: f32, // λ
  eps: f32,
  center_units: u32,
  center_length: u32,
  center_across: u32,
  units: u32, // what is found of each part of a unit, and then of the unit in the place of its first
}

var<workgroup> addends: array<mat2x4f, 64>;

struct Units {
  count: u32,
  length: u32,
  across: bool,
  width: u32, // units a workgroup
  lanes: u32, // of a unit in it
  parts: u32, // of a unit: 64 elements a lane
}

fn units_of(count: u32, length: u32, across: u32) -> Units {
  let width = select(1u, 16u, across != 0u || length <= 64u);
  let part = 4096u / width;
  return Units(count, length, across != 0u, width, 64u / width, (length + part - 1u) / part);
}

// Which unit a lane works for, and which of the unit's lanes it is.
struct Place {
  unit: u32,
  lane: u32,
}

fn place_of(units: Units, work: u32, lane: u32) -> Place {
  let apart = vec2u(lane / units.lanes, lane % units.lanes);
  let place = select(apart, vec2u(lane % units.width, lane / units.width), units.across);
  return Place(work * units.width + place.x, place.y);
}

// Where an element of a unit lies in the tensor.
fn element_of(units: Units, unit: u32, k: u32) -> u32 {
  return select(unit * units.length + k, k * units.count + unit, units.across);
}

fn unit_of(units: Units, element: u32) -> u32 {
  return select(element / units.length, element % units.count, units.across);
}

// The elements of a part that a lane takes: from, up to.
fn part_of(units: Units, part: u32, lane: u32) -> vec2u {
  let begin = part * 64u * units.lanes;
  return vec2u(begin + lane, min(begin + 64u * units.lanes, units.length));
}

// The sum of what the lanes of a unit have, from its first one on.
fn total_of(units: Units, first: u32) -> mat2x4f {
  let step = select(1u, units.width, units.across);
  var total = mat2x4f();
  for (var k = 0u; k < units.lanes; k++) {
    total += addends[first + k * step];
  }
  return total;
}

fn is_finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}
