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
var<private> most: f32; // of what is finite: a loss scale below 1 may make a gradient infinite

fn squares_at(k: u32, end: u32) -> vec4f {
  let bits = select(vec4u(), engine_widen_bits(gradients[k]), k < end);
  magnitudes = max(magnitudes, bits & vec4u(0x7fffffffu));
  let gradient = gradient_of(bits);
  return gradient * gradient;
}

// An element by itself.
const LANE = 64u / engine_STRIP;
fn engine_leaf(k: u32) -> engine_Part {
  let bits = engine_widen_bits(gradients[k / LANE])[k % LANE];
  let value = abs(gradient_of(vec4u(bits)).x);
  return select(vec2f(value, 0.0), vec2f(0.0, 1.0), (bits & 0x7fffffffu) > bitcast<u32>(most));
}

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  let begin = id.x * engine_STRIP;
  if (engine_outside(begin)) {
    return;
  }
  let first = engine_chunk.gradient_first + begin;
  let end = first + min(engine_STRIP, engine_chunk.count - begin);
  var sum = vec4f();
  for (var k = first; k < end; k += 4u) {
    sum += (squares_at(k, end) + squares_at(k + 1u, end)) + (squares_at(k + 2u, end) + squares_at(k + 3u, end));
  }
  let squares = engine_total(sum);
  let largest = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
  most = select(engine_LARGEST, 0x1.ffffp+127f * control.loss_scale, control.loss_scale < 1.0);
  // Rare: what is not finite is counted, and the others are scaled before they are squared.
  let apart = largest > bitcast<u32>(most) || (largest > 0u && !engine_plain(squares));
  var part = engine_summed(first * LANE, select(0u, end * LANE, apart));
  if (!apart) {
    part.x = sqrt(squares);
  }
  if (!clipped) {
    part.x = abs(unscaled(vec4f(min(part.x, most))).x);
  }
  if (kept && part.y > 0.0) {
    part.x = bitcast<f32>(select(0x7f800000u, 0x7fc00000u, largest > 0x7f800000u));
  }
  partials[engine_chunk.strip + id.x] = part;
}
