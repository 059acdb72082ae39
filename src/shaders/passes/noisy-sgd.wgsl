// Normal noise from Philox4x32-10 (Salmon et al. 2011) of (element/4, tensor, step) under the seed, by the method of Box and
// Muller. Logarithm, sine and cosine are polynomials, since WGSL's are coarse and differ between adapters.
struct Tensor {
  first: u32,
  rows: u32,
  columns: u32,
  count: u32,
  key: u32, // of the tensor's name
}

const LN2 = 0.6931471805599453;
const TURN = 3.7450702829239286e-7; // 2π/2^24

fn high_product(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

fn philox(counter: vec4u, seed: u32) -> vec4u {
  var c = counter;
  var key = vec2u(seed, 0u);
  for (var n = 0u; n < 10u; n++) {
    let first = vec2u(high_product(0xd2511f53u, c.x), 0xd2511f53u * c.x);
    let second = vec2u(high_product(0xcd9e8d57u, c.z), 0xcd9e8d57u * c.z);
    c = vec4u(second.x ^ c.y ^ key.x, second.y, first.x ^ c.w ^ key.y, first.y);
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

// √(−2 ln u) of u = bits/2^32, of which the leading 24 count.
fn radius(bits: u32) -> f32 {
  let excess = 8u - min(countLeadingZeros(bits), 8u);
  let leading = bitcast<u32>(f32(max((bits >> excess) << excess, 1u)));
  var exponent = f32(leading >> 23u) - 159.0;
  var mantissa = bitcast<f32>((leading & 0x7fffffu) | 0x3f800000u);
  if (mantissa > 1.41421356) {
    mantissa *= 0.5;
    exponent += 1.0;
  }
  let s = (mantissa - 1.0) / (mantissa + 1.0);
  let z = s * s;
  let series = 1.0 + z * (1.0 / 3.0 + z * (0.2 + z * (1.0 / 7.0 + z / 9.0)));
  return sqrt(-2.0 * (exponent * LN2 + 2.0 * s * series));
}

// Cosine and sine of bits/2^24 of a turn, from those of an angle up to π/4.
fn direction_of(bits: u32) -> vec2f {
  let within = bits & 0x3fffffu;
  let folded = within > 0x200000u;
  let angle = f32(select(within, 0x400000u - within, folded)) * TURN;
  let z = angle * angle;
  let sine = angle * (1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * (1.0 - z / 72.0))));
  let cosine = 1.0 - z * 0.5 * (1.0 - z / 12.0 * (1.0 - z / 30.0 * (1.0 - z / 56.0 * (1.0 - z / 90.0))));
  let own = select(vec2f(cosine, sine), vec2f(sine, cosine), folded);
  let turned = select(own, vec2f(-own.y, own.x), (bits & 0x400000u) != 0u);
  return select(turned, -turned, (bits & 0x800000u) != 0u);
}

fn is_finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// Four elements a lane.
fn add_noise(tensor: Tensor, work: u32, lane: u32) {
  let four = work * 64u + lane;
  let start = 4u * four;
  if (start >= tensor.count) {
    return;
  }
  let step = u32(scalars.step_low) | (u32(scalars.step_high) << 16u);
  let seed = u32(scalars.seed_low) | (u32(scalars.seed_high) << 16u);
  let bits = philox(vec4u(four, tensor.key, step, 0u), seed);
  let normals = vec4f(radius(bits.x) * direction_of(bits.y >> 8u), radius(bits.z) * direction_of(bits.w >> 8u));
  for (var k = 0u; k < min(4u, tensor.count - start); k++) {
    let at = tensor.first + start + k;
    let given = directions[at];
    if (is_finite(given)) {
      directions[at] = given + scalars.deviation * normals[k];
    }
  }
}
