import { checkCheckpoint, loadTerms } from "../checkpoint/check.js";
import {
  type CheckpointSource,
  checkLoadOptions,
  type LoadOptions,
  type LoadResult,
  readSource,
} from "../checkpoint/load.js";
import { readSafetensorsHeader, type TensorRange } from "../checkpoint/read.js";
import { type Upload, upload } from "../checkpoint/upload.js";
import { contentOf, rangesOf, requireUsage } from "./capture.js";
import { requireDevice } from "./device.js";
import type { Engine } from "./engine.js";
import { CONTROL } from "./guards/control.js";
import { loadParting } from "./kernels/plan.js";
import type { BufferRange } from "./memory/parameters.js";
import { packStruct } from "./memory/struct.js";
import { USAGE } from "./memory/usage.js";

/** Bytes of the control block that a loss scale goes on from: the scale and its good steps. */
const SCALE_BYTES = 8;

/**
 * Goes on from a checkpoint.
 * @returns what it took
 * @throws OptimError as `Optimizer.load`
 */
export async function load(
  engine: Engine,
  source: CheckpointSource,
  options: LoadOptions,
): Promise<LoadResult> {
  const { parameters = true } = checkLoadOptions(options);
  const bytes = await readSource(source);
  const { device, label, groups, reports, machine } = engine;
  const { memories } = machine;
  const header = readSafetensorsHeader(bytes, bytes.length);
  const own = groups.map((group, index) => ({ ...group.snapshot(), ...contentOf(memories[index]!) }));
  const checked = checkCheckpoint(header, own, options, await loadTerms(header, own));
  if (parameters) requireUsage(memories, "be loaded", USAGE.COPY_DST, "COPY_DST");
  const ranges = rangesOf(machine);
  const uploads: Upload[] = [];
  const dataOf = ({ start, end }: TensorRange) => bytes.subarray(start, end);
  for (const [name, range] of checked.tensors) {
    const to = ranges.get(name);
    if (to) uploads.push({ to, data: checked.converted(name, dataOf) ?? dataOf(range) });
  }
  const copied: (readonly [from: BufferRange, to: BufferRange])[] = [];
  for (const [name, { value, tensor }] of checked.begun) {
    const to = ranges.get(name);
    const range = checked.tensors.get(tensor);
    if (!to) continue;
    if (value !== undefined)
      uploads.push({ to, data: new Uint8Array(new Float32Array(to.size / 4).fill(value).buffer) });
    else if (range) uploads.push({ to, data: dataOf(range) });
    else copied.push([ranges.get(tensor)!, to]);
  }
  const guard = machine.guarding?.guard;
  if (guard?.guards.dynamicScale && checked.guards?.dynamic) {
    const { lossScale, goodSteps } = checked.guards;
    const control = packStruct(CONTROL, { loss_scale: lossScale, good_steps: goodSteps });
    uploads.push({
      to: { buffer: guard.kept.control, offset: 0, size: SCALE_BYTES },
      data: new Uint8Array(control, 0, SCALE_BYTES),
    });
  }
  await reports?.settle();
  if (checked.groups.some((state) => state.cohorts.length > 1)) await loadParting();
  await upload(device, label, uploads, copied);
  requireDevice(device, label);
  checked.groups.forEach((state, index) => {
    state.restoreSchedule();
    groups[index]!.resume(state);
    // A file from before the first step holds copies that have not begun.
    const fresh = new Set(state.cohorts.flatMap(({ names, steps }) => (steps === 0 ? names : [])));
    for (const tensor of memories[index]!.tensors)
      if (state.steps > 0 && !fresh.has(tensor.name)) engine.begun.add(tensor);
      else engine.begun.delete(tensor);
  });
  machine.beginning?.reset();
  return checked.result;
}
