// A value of more bits than f32 has: the value itself, and in a residual what its f32 cannot hold.

// A sum that compilers must take as it is: WGSL lets them reassociate, and some take (a + b) - a for b, also through a
// bitcast there and back (Mesa). They cannot know what the uniform holds.
fn engine_kept(sum: vec4f) -> vec4f {
  return bitcast<vec4f>(bitcast<vec4u>(sum) ^ vec4u(engine_chunk.zero));
}

// value + residual + addend (Knuth's two-sum, whichever is larger).
fn engine_added(value: vec4f, addend: vec4f, residual: ptr<function, vec4f>) -> vec4f {
  // What would change the value is no residual of it: others may have written the value, and an infinity has none.
  let fits = bitcast<vec4u>(engine_kept(value + *residual)) == bitcast<vec4u>(value);
  let small = select(vec4f(), *residual, fits) + addend;
  let sum = engine_kept(value + small);
  let taken = engine_kept(sum - value);
  *residual = engine_kept(value - (sum - taken)) + (small - taken);
  return sum;
}
