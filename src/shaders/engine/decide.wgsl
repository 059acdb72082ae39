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
// Binding 2: Σg² and how many gradients are not finite, in parts.
// Of the attempt's slot.
@group(1) @binding(3) var<storage, read> rows: array<Row>;
@group(1) @binding(4) var<storage, read_write> live: array<Row>;
@group(1) @binding(5) var<storage, read_write> history: array<Record>;

// What thread 0 decided.
var<workgroup> shared_row: u32;
var<workgroup> shared_scale: f32;
var<workgroup> shared_factor: f32;
var<workgroup> shared_skip: u32;

// Takes or skips the step.
fn judge(total: vec2f) {
  let norm = sqrt(total.x);
  let bad = total.y > 0.0 || !finite(norm);
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
    norm, shared_factor, scale, total.y, unknown, unknown,
  );
}

@compute @workgroup_size(THREADS)
fn engine_main(@builtin(local_invocation_index) thread: u32) {
  let total = total_of(decision.sums, thread);
  if (thread == 0u) {
    if ((attempt.flags & ASCENT) != 0u) {
      let norm = sqrt(total.x);
      // No ascent along a gradient that is zero or not finite.
      control.ascent = select(0.0, attempt.radius / norm, total.y == 0.0 && finite(norm) && norm > 0.0);
    } else {
      judge(total);
    }
  }
  workgroupBarrier();
  if ((attempt.flags & ASCENT) != 0u) {
    return;
  }
  for (var group = thread; group < decision.groups; group += THREADS) {
    var row = rows[shared_row + group];
    row.stage.gradient_scale = row.stage.gradient_scale / shared_scale * shared_factor;
    row.stage.clip_value = attempt.clip_value * shared_factor;
    row.stage.skip = shared_skip;
    live[group] = row;
  }
}
