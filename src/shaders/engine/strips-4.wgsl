// Sums over strips of vec4f.
const engine_STRIP = 16u; // lanes of 256 bytes
// Lanes that hold no element as zeros, for sums.
fn engine_alone(value: vec4f) -> vec4f {
  return value;
}
// The sum of the elements, in their order: a tail by itself adds up to the same bits.
fn engine_total(value: vec4f) -> f32 {
  return ((value.x + value.y) + value.z) + value.w;
}
