// Sums over strips of 256 bytes of gradient, one an invocation: no barrier and no workgroup a tensor.
override clipped: bool = false;
@group(0) @binding(0) var<uniform> attempt: Attempt;
@group(1) @binding(1) var<storage, read> gradients: array<engine_Bits>;
@group(1) @binding(2) var<storage, read> control: Control;
// Σg², how many are not finite, how many of these are NaN.
@group(1) @binding(3) var<storage, read_write> partials: array<vec4f>;

fn scaled(gradient: vec4f, scale: f32) -> vec4f {
  let value = scale * gradient;
  if (clipped) {
    return clamp(value, vec4f(-attempt.clip_value), vec4f(attempt.clip_value));
  }
  return value;
}

@compute @workgroup_size(64)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  let begin = id.x * engine_STRIP;
  if (begin >= engine_chunk.count) {
    return;
  }
  let first = engine_chunk.gradient_first + begin;
  let count = min(engine_STRIP, engine_chunk.count - begin);
  let scale = attempt.gradient_scale / control.loss_scale;
  var squares = 0.0;
  var largest = vec4u();
  for (var k = 0u; k < count; k++) {
    let bits = engine_widen_bits(gradients[first + k]);
    let gradient = scaled(bitcast<vec4f>(bits), scale);
    squares += engine_total(gradient * gradient);
    largest = max(largest, bits & vec4u(0x7fffffffu));
  }
  var bad = 0.0;
  var nan = 0.0;
  if (any(largest >= vec4u(0x7f800000u))) {
    // Rare: once more, without what is not finite.
    squares = 0.0;
    for (var k = 0u; k < count; k++) {
      let bits = engine_widen_bits(gradients[first + k]);
      let size = bits & vec4u(0x7fffffffu);
      let lost = size >= vec4u(0x7f800000u);
      let gradient = scaled(select(bitcast<vec4f>(bits), vec4f(), lost), scale);
      squares += engine_total(gradient * gradient);
      bad += engine_total(select(vec4f(), vec4f(1.0), lost));
      nan += engine_total(select(vec4f(), vec4f(1.0), size > vec4u(0x7f800000u)));
    }
  }
  partials[engine_chunk.strip + id.x] = vec4f(squares, bad, nan, 0.0);
}
