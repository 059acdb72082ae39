// Decides a step on the GPU: whether it is taken, its clip factor, the next loss scale, and which row of scalars it reads.
struct Attempt {
  gradient_scale: f32, // read by the measure, too
  clip_value: f32,
  number: u32,
  newest_applied: u32, // applied steps if no pending step is skipped: the first row is for this count
  rows: u32,
  row: u32, // index of the first row in rows, in words
  flags: u32,
  // The largest f32 where there is no limit.
  clip_norm: f32,
  clip_global_norm: f32,
  growth: f32,
  backoff: f32,
  growth_interval: u32,
  smallest_scale: f32,
  largest_scale: f32,
  radius: f32, // of an ascent
}
const SKIP_NON_FINITE = 1u;
const OPTAX_NORM = 2u;
const DYNAMIC_SCALE = 4u;
const FLUSH = 8u; // only complete the record of the last step
const ASCENT = 16u; // only give the factor of an ascent
const FLUSHED = 32u; // that record is complete already

struct Plan {
  tensors: u32,
  totals: u32,
  words: u32, // of a row
}
struct Control {
  loss_scale: f32,
  good_steps: u32, // since the scale last changed
  attempt: u32,
  applied: u32,
  skipped: u32,
  faults: u32, // attempts that found no row for their count
  ascent: f32, // what an ascent adds for each unit of gradient
}
struct Record {
  attempt: u32,
  applied: u32,
  skipped: u32,
  faults: u32,
  gradient_norm: f32,
  clip_factor: f32,
  loss_scale: f32,
  non_finite: f32,
  parameter_squares: f32,
  update_squares: f32,
}
@group(0) @binding(0) var<uniform> attempt: Attempt;
@group(1) @binding(0) var<uniform> plan: Plan;
@group(1) @binding(1) var<storage, read_write> control: Control;
@group(1) @binding(2) var<storage, read_write> sums: array<vec4f>;
@group(1) @binding(3) var<storage, read> rows: array<u32>;
@group(1) @binding(4) var<storage, read_write> live: array<u32>;
@group(1) @binding(5) var<storage, read_write> history: array<Record>;

// Words of a group in a row: 64 of the rule's scalars, 64 of the engine's stage. These are set here.
const GROUP_WORDS = 128u;
const GRADIENT_SCALE = 64u;
const CLIP_FACTOR = 69u;
const SKIP = 71u;

const THREADS = 64u;
const HISTORY = 64u;
const UNLIMITED = 3e38;
var<workgroup> shared_sums: array<vec4f, THREADS>;
// What thread 0 decided.
var<workgroup> shared_row: u32; // first word of the row that the step reads
var<workgroup> shared_scale: f32;
var<workgroup> shared_factor: f32;
var<workgroup> shared_skip: bool;

fn finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// What a gradient of this norm is multiplied by.
fn clip_factor(norm: f32, limit: f32) -> f32 {
  if (limit >= UNLIMITED) {
    return 1.0;
  }
  if ((attempt.flags & OPTAX_NORM) != 0u) {
    return select(limit / norm, 1.0, norm < limit);
  }
  return min(1.0, limit / (norm + 1e-6));
}

// What the last step left is known only now: partial sums are added up before the next one.
fn complete_record(parameter_squares: f32, update_squares: f32) {
  let last = control.attempt % HISTORY;
  history[last].parameter_squares = parameter_squares;
  history[last].update_squares = update_squares;
}

// Takes or skips the step.
fn judge(norm: f32, non_finite: f32) {
  let bad = non_finite > 0.0 || !finite(norm);
  // Counted back from the newest row: each pending step that was skipped moves the choice by one.
  let index = attempt.newest_applied - control.applied;
  let missing = index >= attempt.rows;
  let skip = missing || (bad && (attempt.flags & SKIP_NON_FINITE) != 0u);
  let scale = control.loss_scale;
  if ((attempt.flags & DYNAMIC_SCALE) != 0u && !missing) {
    control.good_steps = select(control.good_steps + 1u, 0u, bad);
    if (bad) {
      control.loss_scale = max(scale * attempt.backoff, attempt.smallest_scale);
    } else if (control.good_steps == attempt.growth_interval) {
      control.good_steps = 0u;
      control.loss_scale = min(scale * attempt.growth, attempt.largest_scale);
    }
  }
  shared_row = attempt.row + select(index, 0u, missing) * plan.words;
  shared_scale = scale;
  shared_factor = clip_factor(norm, attempt.clip_global_norm);
  shared_skip = skip;
  control.attempt = attempt.number;
  control.applied += select(1u, 0u, skip);
  control.skipped += select(0u, 1u, skip);
  control.faults += select(0u, 1u, missing);
  let now = attempt.number % HISTORY;
  history[now] = Record(attempt.number, control.applied, control.skipped, control.faults, norm, shared_factor, scale, non_finite, 0.0, 0.0);
}

@compute @workgroup_size(THREADS)
fn engine_main(@builtin(local_invocation_index) thread: u32) {
  var sum = vec4f();
  for (var i = thread; i < plan.tensors; i += THREADS) {
    let total = sums[plan.totals + i];
    let factor = clip_factor(sqrt(total.z), attempt.clip_norm);
    sums[plan.totals + plan.tensors + i] = vec4f(factor);
    // What overflows stays infinite, so that it is known: infinity times zero would be NaN.
    let squares = select(total.z, total.z * factor * factor, finite(total.z));
    sum += vec4f(total.xy, squares, total.w);
  }
  shared_sums[thread] = sum;
  for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (thread < stride) {
      shared_sums[thread] += shared_sums[thread + stride];
    }
  }
  if (thread == 0u) {
    if ((attempt.flags & (FLUSHED | ASCENT)) == 0u) {
      complete_record(shared_sums[0].x, shared_sums[0].y);
    }
    if ((attempt.flags & ASCENT) != 0u) {
      let norm = sqrt(shared_sums[0].z);
      // No ascent along a gradient that is zero or not finite.
      control.ascent = select(0.0, attempt.radius / norm, shared_sums[0].w == 0.0 && finite(norm) && norm > 0.0);
    } else if ((attempt.flags & FLUSH) == 0u) {
      judge(sqrt(shared_sums[0].z), shared_sums[0].w);
    }
  }
  workgroupBarrier();
  if ((attempt.flags & (FLUSH | ASCENT)) != 0u) {
    return;
  }
  for (var word = thread; word < plan.words; word += THREADS) {
    var value = rows[shared_row + word];
    // The words of a group: its scalars, then the engine's block, of which these are set here.
    switch word % GROUP_WORDS {
      case GRADIENT_SCALE: { value = bitcast<u32>(bitcast<f32>(value) / shared_scale); }
      case CLIP_FACTOR: { value = bitcast<u32>(shared_factor); }
      case SKIP: { value = select(0u, 1u, shared_skip); }
      default: {}
    }
    live[word] = value;
  }
}
