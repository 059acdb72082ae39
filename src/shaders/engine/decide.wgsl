// Decides a step on the GPU: whether it is taken, its clip factors, the next loss scale, and which row of scalars it reads.
// A group's part of a row, as the kernels bind it.
struct Row {
  @size(256) scalars: array<u32, 64>,
  @size(256) stage: engine_Stage,
}
struct Decision {
  sums: u32,
  groups: u32,
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
var<workgroup> shared_row: u32;
var<workgroup> shared_scale: f32;
var<workgroup> shared_factor: vec2f;
var<workgroup> shared_skip: u32;

// Takes or skips the step.
fn judge(norm: f32, non_finite: f32) {
  let bad = non_finite > 0.0;
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
      // No product that overflows.
      control.loss_scale = min(min(scale, attempt.largest_scale / attempt.growth) * attempt.growth, attempt.largest_scale);
    }
  }
  shared_row = select(index, 0u, missing) * decision.groups;
  shared_scale = scale;
  shared_factor = clip_factor(norm, attempt.clip_global_norm, attempt.flags);
  shared_skip = select(0u, 1u, skip);
  control.attempt = attempt.number;
  control.applied += select(1u, 0u, skip);
  control.skipped += select(0u, 1u, skip);
  control.faults += select(0u, 1u, missing);
  // By its bits: WGSL takes no NaN in a constant.
  let unknown = bitcast<f32>(NAN + (attempt.number & 0u));
  history[attempt.number % HISTORY] = Record(
    attempt.number, control.applied, control.skipped, control.faults,
    norm, shared_factor.x, shared_factor.y, scale, non_finite, unknown, unknown, unknown,
  );
}

fn engine_leaf(k: u32) -> engine_Part {
  return parts[k];
}

@compute @workgroup_size(THREADS)
fn engine_main(@builtin(local_invocation_index) thread: u32) {
  if (thread == 0u) {
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
  for (var group = thread; group < decision.groups; group += THREADS) {
    var row = rows[shared_row + group];
    row.stage.clip_factor = shared_factor.y * row.stage.gradient_scale;
    row.stage.gradient_scale = shared_factor.x / shared_scale;
    row.stage.clip_value = shared_factor.y * (shared_factor.x * attempt.clip_value);
    row.stage.skip = shared_skip;
    live[group] = row;
  }
}
