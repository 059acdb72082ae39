// What the engine gives the kernels of a group in a step, beside the rule's scalars.
struct engine_Stage {
  gradient_scale: f32, // sign and mean over micro-batches; with guards 1 / loss scale and the unit of the clip factor of all
  clip_factor: f32, // with guards: the rest of that factor, sign and mean
  clip_value: f32, // the largest |g| after that, where a guard clips by value
  coupled_decay: f32, // λ
  decay: f32, // ηλ, λ, or of proximal decay ηλ / (1 + ηλ)
  slow_weight: f32, // how far slow weights and average move towards the parameters after this step
  average_weight: f32,
  skip: u32, // 1 where a guard lets nothing change
}
