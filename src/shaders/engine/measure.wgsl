// Sums over strips of 256 bytes of gradient, one an invocation: no barrier and no workgroup a tensor.
override clipped: bool = false;
override kept: bool = false; // whether what is not finite stays, and the norm is not finite either
@group(0) @binding(0) var<uniform> attempt: Attempt;
@group(1) @binding(1) var<storage, read> gradients: array<engine_Bits>;
@group(1) @binding(2) var<storage, read> control: Control;
// Σg², and how many are not finite.
@group(1) @binding(3) var<storage, read_write> partials: array<engine_Part>;

fn scaled(gradient: vec4f, scale: f32) -> vec4f {
  let value = scale * gradient;
  if (clipped) {
    return clamp(value, vec4f(-attempt.clip_value), vec4f(attempt.clip_value));
  }
  return value;
}

@compute @workgroup_size(256)
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
  if (any(largest >= vec4u(0x7f800000u))) {
    // Rare: once more, without what is not finite.
    squares = 0.0;
    for (var k = 0u; k < count; k++) {
      let bits = engine_widen_bits(gradients[first + k]);
      let lost = (bits & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
      let gradient = scaled(select(bitcast<vec4f>(bits), vec4f(), lost), scale);
      squares += engine_total(gradient * gradient);
      bad += engine_total(select(vec4f(), vec4f(1.0), lost));
    }
    if (kept) {
      squares = bitcast<f32>(select(0x7f800000u, 0x7fc00000u, any(largest > vec4u(0x7f800000u))));
    }
  }
  partials[engine_chunk.strip + id.x] = engine_part(vec2f(squares, bad));
}
