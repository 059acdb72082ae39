// Copies that move towards the parameters after a step, with what their f32 cannot hold.
override slow: bool = false; // whether the parameters go back to the copy
@group(1) @binding(1) var<storage, read_write> parameters: array<engine_Lanes>;
@group(1) @binding(2) var<storage, read_write> copies: array<engine_Lanes>;
@group(1) @binding(3) var<storage, read_write> residuals: array<engine_Lanes>;

@compute @workgroup_size(256)
fn engine_main(@builtin(global_invocation_id) id: vec3u) {
  if (engine_outside(id.x)) {
    return;
  }
  let i = engine_chunk.first + id.x;
  let weight = select(engine_stage.average_weight, engine_stage.slow_weight, slow);
  if (weight == 0.0 || engine_stage.skip != 0u) {
    return;
  }
  let parameter = engine_widen(parameters[i]);
  let copied = engine_widen(copies[i]);
  var residual = engine_widen(residuals[i]);
  // Parameters that are not compensated have lost the residual of the slow weights that they went back to.
  let own = own_residual(i, select(vec4f(), residual, slow));
  let distance = (parameter - copied) + (own - residual);
  var next = engine_added(copied, weight * distance, &residual);
  if (weight >= 1.0) {
    next = parameter;
    residual = own;
  }
  copies[i] = engine_narrow(next);
  residuals[i] = engine_narrow(residual);
  if (slow) {
    parameters[i] = engine_narrow(next);
    keep_own(i, residual);
  }
}
