// Norms of strips of 256 bytes of gradient, one an invocation: no barrier and no workgroup a tensor.
override clipped: bool = false;
override kept: bool = false; // whether what is not finite stays, and the norm is not finite either
@group(0) @binding(0) var<uniform> attempt: Attempt;
@group(1) @binding(1) var<storage, read> gradients: array<engine_Bits>;
@group(1) @binding(2) var<storage, read> control: Control;
// The norm, and how many are not finite.
@group(1) @binding(3) var<storage, read_write> partials: array<engine_Part>;

// Times two numbers, whose product may be too small for f32.
fn unscaled(value: vec4f) -> vec4f {
  return attempt.gradient_scale * (1.0 / control.loss_scale * value);
}

// Before it is unscaled, where elements are not needed by themselves.
fn gradient_of(bits: vec4u) -> vec4f {
  let gradient = bitcast<vec4f>(bits);
  if (clipped) {
    return clamp(unscaled(gradient), vec4f(-attempt.clip_value), vec4f(attempt.clip_value));
  }
  return gradient;
}

var<private> magnitudes: vec4u; // the largest

fn squares_at(k: u32, end: u32) -> vec4f {
  let bits = select(vec4u(), engine_widen_bits(gradients[k]), k < end);
  magnitudes = max(magnitudes, bits & vec4u(0x7fffffffu));
  let gradient = gradient_of(bits);
  return gradient * gradient;
}

fn largest_of(magnitudes: vec4u) -> u32 {
  return max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
}

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  let begin = id.x * engine_STRIP;
  if (begin >= engine_chunk.count) {
    return;
  }
  let first = engine_chunk.gradient_first + begin;
  let end = first + min(engine_STRIP, engine_chunk.count - begin);
  var sum = vec4f();
  for (var k = first; k < end; k += 4u) {
    sum += (squares_at(k, end) + squares_at(k + 1u, end)) + (squares_at(k + 2u, end) + squares_at(k + 3u, end));
  }
  var squares = engine_total(sum);
  var largest = largest_of(magnitudes);
  let nan = largest > 0x7f800000u;
  // A loss scale below 1 may make a gradient infinite.
  let most = select(engine_LARGEST, 0x1.ffffp+127f * control.loss_scale, control.loss_scale < 1.0);
  var binade = 0x3f800000u;
  var bad = 0.0;
  // Rare: what is not finite is counted, and the others are scaled before they are squared, by the largest of them.
  var apart = largest > bitcast<u32>(most) || (largest > 0u && !engine_plain(squares));
  while (apart) {
    binade = engine_binade(vec2u(largest)).x;
    magnitudes = vec4u();
    sum = vec4f();
    bad = 0.0;
    for (var k = first; k < end; k++) {
      let bits = engine_widen_bits(gradients[k]);
      let lost = (bits & vec4u(0x7fffffffu)) > vec4u(bitcast<u32>(most));
      let gradient = select(gradient_of(bits), vec4f(), lost);
      magnitudes = max(magnitudes, bitcast<vec4u>(abs(gradient)));
      let scaled = engine_reciprocal(binade) * gradient;
      sum += scaled * scaled;
      bad += engine_total(select(vec4f(), vec4f(1.0), lost));
    }
    squares = engine_total(sum);
    largest = largest_of(magnitudes);
    apart = engine_binade(vec2u(largest)).x != binade;
  }
  var norm = engine_norm(squares, binade, largest);
  if (!clipped) {
    norm = abs(unscaled(vec4f(min(norm, most))).x);
  }
  if (kept && bad > 0.0) {
    norm = bitcast<f32>(select(0x7f800000u, 0x7fc00000u, nan));
  }
  partials[engine_chunk.strip + id.x] = vec2f(norm, bad);
}
