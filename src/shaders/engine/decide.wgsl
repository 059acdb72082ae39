// Decides a step on the GPU: whether it is taken, its clip factors, the next loss scale, and which row of scalars it reads.
// The rows of a cohort that a step may read: the first at its block, the others one behind the other.
struct Choice {
  // A bit for each attempt before this one that it took part in and whose outcome the host did not know.
  took_part: vec4u,
  first: u32, // of the others
  width: u32, // rows for each number of skipped steps: by how many of these were its own
}
// As the kernels bind it.
struct Row {
  @size(256) scalars: array<u32, 64>,
  @size(64) stage: engine_Stage,
  @size(192) choice: Choice,
}
struct Decision {
  sums: u32,
}
@group(0) @binding(0) var<uniform> attempt: Attempt;
@group(1) @binding(0) var<uniform> decision: Decision;
@group(1) @binding(1) var<storage, read_write> control: Control;
// The norm of gradients, and how many are not finite.
@group(1) @binding(2) var<storage, read> parts: array<engine_Part>;
// Of the attempt's slot.
@group(1) @binding(3) var<storage, read> rows: array<Row>;
@group(1) @binding(4) var<storage, read_write> live: array<Row>;
@group(1) @binding(5) var<storage, read_write> history: array<Record>;

const THREADS = 64u;
// What thread 0 decided.
var<workgroup> shared_index: u32;
var<workgroup> shared_missed: vec4u;
var<workgroup> shared_scale: f32;
var<workgroup> shared_factor: vec2f;
var<workgroup> shared_skip: u32;

// A list of bits with one more in front.
fn pushed(bits: vec4u, bit: u32) -> vec4u {
  return (bits << vec4u(1u)) | vec4u(bit, bits.xyz >> vec3u(31u));
}

// Counted back from the newest row: each pending step that was skipped moves the choice by one.
fn skipped_in_flight() -> u32 {
  var missed = vec4u(control.missed0, control.missed1, control.missed2, control.missed3);
  // Attempts that never ran.
  for (var lost = min(attempt.number - control.attempt, 129u); lost > 1u; lost--) {
    missed = pushed(missed, 1u);
  }
  shared_missed = missed;
  return attempt.newest_applied - control.applied;
}

// Takes or skips the step.
fn judge(norm: f32, non_finite: f32) {
  let bad = non_finite > 0.0;
  let index = skipped_in_flight();
  let missing = index >= attempt.rows;
  let skip = missing || (bad && (attempt.flags & SKIP_NON_FINITE) != 0u);
  let scale = control.loss_scale;
  if ((attempt.flags & DYNAMIC_SCALE) != 0u && !missing) {
    control.good_steps = select(control.good_steps + 1u, 0u, bad);
    if (bad) {
      control.loss_scale = max(scale * attempt.backoff, attempt.smallest_scale);
    } else if (control.good_steps == attempt.growth_interval) {
      control.good_steps = 0u;
      // No product that overflows.
      control.loss_scale = min(min(scale, attempt.largest_scale / attempt.growth) * attempt.growth, attempt.largest_scale);
    }
  }
  shared_index = select(index, 0u, missing);
  shared_scale = scale;
  shared_factor = clip_factor(norm, attempt.clip_global_norm, attempt.flags);
  shared_skip = select(0u, 1u, skip);
  let missed = pushed(shared_missed, shared_skip);
  control.missed0 = missed.x;
  control.missed1 = missed.y;
  control.missed2 = missed.z;
  control.missed3 = missed.w;
  control.attempt = attempt.number;
  control.applied += select(1u, 0u, skip);
  control.skipped += select(0u, 1u, skip);
  control.faults += select(0u, 1u, missing);
  // By its bits: WGSL takes no NaN in a constant.
  let unknown = bitcast<f32>(NAN + (attempt.number & 0u));
  history[attempt.number % arrayLength(&history)] = Record(
    attempt.number, control.applied, control.skipped, control.faults,
    norm, shared_factor.x, shared_factor.y, scale, non_finite, unknown, unknown, unknown,
  );
}

fn engine_leaf(k: u32) -> engine_Part {
  return parts[k];
}

@compute @workgroup_size(THREADS)
fn engine_main(@builtin(local_invocation_index) thread: u32) {
  if (thread == 0u && (attempt.flags & CHOOSE) != 0u) {
    shared_index = min(skipped_in_flight(), attempt.rows - 1u);
    shared_scale = 1.0;
    shared_factor = vec2f(1.0);
    shared_skip = 0u;
  } else if (thread == 0u) {
    let total = engine_summed(0u, decision.sums);
    let norm = total.x;
    if ((attempt.flags & ASCENT) != 0u) {
      let unit = select(unit_for(norm), 0x1p64f, norm < 0x1p-64f);
      control.ascent_unit = unit;
      // No ascent along a gradient that is zero or not finite.
      control.ascent = select(0.0, attempt.radius / (unit * norm), total.y == 0.0 && norm > 0.0);
    } else {
      judge(norm, total.y);
    }
  }
  workgroupBarrier();
  if ((attempt.flags & ASCENT) != 0u) {
    return;
  }
  for (var cohort = thread; cohort < attempt.cohorts; cohort += THREADS) {
    let choice = rows[cohort].choice;
    let bits = countOneBits(shared_missed & choice.took_part);
    let own = min(bits.x + bits.y + bits.z + bits.w, choice.width - 1u);
    let place = shared_index * choice.width + own;
    var row = rows[select(choice.first + place - 1u, cohort, place == 0u)];
    row.stage.clip_factor = shared_factor.y * row.stage.gradient_scale;
    row.stage.gradient_scale = shared_factor.x / shared_scale;
    row.stage.clip_value = shared_factor.y * (shared_factor.x * attempt.clip_value);
    row.stage.skip = shared_skip;
    live[cohort] = row;
  }
}
