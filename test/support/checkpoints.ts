// Checkpoints as files, without a GPU: what an optimizer would have written.
import { checkCheckpoint } from "../../src/checkpoint/check.js";
import type { CheckpointFormat, CheckpointGroup } from "../../src/checkpoint/contents.js";
import { describeGroups, describeTensors } from "../../src/checkpoint/describe.js";
import type { LoadOptions } from "../../src/checkpoint/load.js";
import * as pytorch from "../../src/checkpoint/pytorch-terms.js";
import { readSafetensorsHeader } from "../../src/checkpoint/read.js";
import { saveSchedules } from "../../src/checkpoint/saved-schedules.js";
import { type TensorData, writeSafetensors } from "../../src/checkpoint/write.js";
import { adamw, nadam, onPlateau, type Rule, type Schedule, warmup } from "../../src/index.js";
import { scheduleFromJSON } from "../../src/schedules/from-json.js";

/** A group of a rule over tensors of these shapes. */
export function groupOf(
  { row, options }: Rule,
  shapes: Readonly<Record<string, readonly number[]>>,
  schedule: Schedule = () => 1,
): CheckpointGroup {
  const tensors = Object.entries(shapes).map(([name, shape]) => ({ name, shape }));
  return { row, options, schedule, optionSchedules: {}, tensors, states: row.shader.states };
}

/** Groups with memory, a nested plateau schedule and a function of the caller's. */
const defaultGroups = () => [
  groupOf(nadam({ lr: 0.01 }), { w: [2, 3], b: [2] }, warmup(4, onPlateau())),
  groupOf(adamw(), { e: [0, 2], s: [] }, (step) => 1 / (1 + step)),
];

/** A checkpoint as its groups, tensors and metadata. */
export function sample(format: CheckpointFormat = "webgpu-optim", groups = defaultGroups()) {
  const progress = groups.map(({ row, tensors }, index) => {
    const steps = [12, 34][index]!;
    const names = tensors.map(({ name }) => name);
    return { steps, cohorts: [{ names, steps, memory: (row.memory ?? []).map(() => 0.25) }] };
  });
  const metadata = describeGroups(
    groups,
    progress,
    saveSchedules(
      groups.flatMap(({ schedule, optionSchedules }) => [schedule, ...Object.values(optionSchedules)]),
    ),
    { dynamic: true, lossScale: 1024, goodSteps: 7, applied: 12, skipped: 1 },
    { format, metadata: { mine: "kept" } },
    format === "pytorch" ? pytorch : undefined,
  );
  const tensors: TensorData[] = describeTensors(groups, true).map((tensor, index) => {
    const length = tensor.shape.reduce((product, extent) => product * extent, 1);
    const values = Float32Array.from({ length }, (_, i) => index + i / 8);
    return { ...tensor, data: new Uint8Array(values.buffer) };
  });
  return { groups, tensors, metadata };
}

/** The bytes of a file. */
export const write = (tensors: readonly TensorData[], metadata: ReadonlyMap<string, string>) =>
  writeSafetensors(tensors, metadata);

/** All that `load` does before anything changes. */
export const check = (file: Uint8Array, groups: readonly CheckpointGroup[], options: LoadOptions = {}) =>
  checkCheckpoint(readSafetensorsHeader(file, file.length), groups, options, {
    pytorch,
    make: scheduleFromJSON,
  });
