// What guards hold on the GPU from step to step.
struct Control {
  loss_scale: f32,
  good_steps: u32, // since the scale last changed
  attempt: u32,
  applied: u32,
  skipped: u32,
  faults: u32, // attempts that found no row for their count
  // A bit for each attempt that was not taken, the newest first, 128 of them.
  missed0: u32,
  missed1: u32,
  missed2: u32,
  missed3: u32,
  // What an ascent multiplies the gradient by, one after the other, as `clip_factor` does.
  ascent_unit: f32,
  ascent: f32,
}
// What is set for each attempt at a step.
struct Attempt {
  gradient_scale: f32, // of the mean over micro-batches
  clip_value: f32, // the largest f32 where there is no limit, here and below
  clip_norm: f32,
  clip_global_norm: f32,
  number: u32,
  newest_applied: u32, // applied steps if no pending step is skipped: the first row is for this count
  rows: u32,
  cohorts: u32,
  flags: u32,
  growth: f32,
  backoff: f32,
  growth_interval: u32,
  smallest_scale: f32,
  largest_scale: f32,
  radius: f32, // of an ascent
}
// What is reported of an attempt.
struct Record {
  attempt: u32,
  applied: u32,
  skipped: u32,
  faults: u32,
  gradient_norm: f32,
  clip_unit: f32, // the clip factor is the product of both
  clip_factor: f32,
  loss_scale: f32,
  non_finite: f32,
  parameter_norm: f32, // NaN, as those below, until they are summed up
  update_norm: f32,
  lost_updates: f32,
}
// What is found of each tensor in a step.
struct Found {
  clip_unit: f32,
  clip_factor: f32,
  gradient_norm: f32,
  non_finite: f32,
  parameter_norm: f32,
  update_norm: f32,
  lost_updates: f32,
  caution: f32, // what cautious updates are multiplied by
}
const SETTLED = 32u; // where it lies
// What is kept of each tensor.
struct Values {
  @size(SETTLED) found: Found,
  settled: vec4f, // by its rule
}
const CHOICE = 320u; // where the choice of a row lies in it

// Flags of an attempt.
const SKIP_NON_FINITE = 1u;
const OPTAX_NORM = 2u;
const DYNAMIC_SCALE = 4u;
const ASCENT = 8u; // only give the factor of an ascent
const CHOOSE = 16u; // only choose the scalars of the next step
