// SAM's ascent: keeps θ as the origin and moves it along the gradient, by the factor that the GPU worked out.
@group(1) @binding(1) var<storage, read_write> parameters: array<engine_Lanes>;
@group(1) @binding(2) var<storage, read> gradients: array<engine_Bits>;
@group(1) @binding(3) var<storage, read_write> origin: array<engine_Lanes>;
@group(1) @binding(4) var<storage, read> control: Control;

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  if (engine_outside(id.x)) {
    return;
  }
  let i = engine_chunk.first + id.x;
  let parameter = engine_widen(parameters[i]);
  let bits = engine_widen_bits(gradients[engine_chunk.gradient_first + id.x]);
  // The norm is that of the unscaled gradient.
  let unit = control.ascent_unit / control.loss_scale;
  let shift = select(control.ascent * (unit * bitcast<vec4f>(bits)), vec4f(), control.ascent == 0.0);
  origin[i] = engine_narrow(parameter);
  parameters[i] = engine_narrow(parameter + shift);
}
