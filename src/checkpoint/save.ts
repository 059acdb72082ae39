import type { CohortSnapshot } from "../engine/cohorts.js";
import { skippedBetween } from "../engine/guards/control.js";
import type { ReadBack } from "../engine/memory/read-back.js";
import { readStruct, type StructLayout } from "../engine/memory/struct.js";
import type { CheckpointGroup, GroupProgress, GuardProgress, TensorProgress } from "./contents.js";
import { checkSaveOptions, describeGroups, describeTensors, type SaveOptions } from "./describe.js";
import type { SavedSchedules } from "./saved-schedules.js";
import { writeSafetensorsHeader } from "./write.js";

/** A group as it is at the moment of saving. */
export interface SavedGroup extends CheckpointGroup {
  /** Steps that the host has encoded. */
  readonly steps: number;
  readonly cohorts: readonly CohortSnapshot[];
}

/** What the GPU decides by itself, where there are guards. */
export interface SavedControl {
  readonly layout: StructLayout;
  /** Steps that should have been applied, as far as the host knows. */
  readonly expected: number;
  /** Attempts at a step, and those whose outcome the host knows. */
  readonly number: number;
  readonly known: number;
  /** Whether the loss scale changes by itself. */
  readonly dynamic: boolean;
}

/** An optimizer as it was at the moment of saving. */
export interface Captured {
  readonly groups: readonly SavedGroup[];
  readonly schedules: SavedSchedules;
  readonly control: SavedControl | undefined;
  /** The control block, where there is one, then all tensors with elements in the order of a file. */
  readonly data: ReadBack;
}

/**
 * The file of an optimizer that was taken down, in parts, its header first.
 * @throws OptimError `invalid-argument`, `invalid-option`, `duplicate-name` or `limit-exceeded`, all before the first part;
 * `out-of-memory`, `gpu-error`, `device-lost`
 */
export async function* fileParts(
  { groups, schedules, control, data }: Captured,
  options: SaveOptions,
): AsyncGenerator<Uint8Array, void> {
  const pytorch = options?.format === "pytorch" ? await import("./pytorch-terms.js") : undefined;
  checkSaveOptions(options, groups, pytorch);
  const own = describeTensors(groups, options.parameters ?? true);
  const squares = pytorch?.squaresIn(groups, own);
  const tensors = squares?.tensors ?? own;
  writeSafetensorsHeader(tensors);
  const read = control && readControl(await data.next(), control);
  const guards = read && progressOf(read, control);
  const late = control && guards ? control.expected - guards.applied : 0;
  const lateOf = (missed: readonly number[]) =>
    control && read && missed.length > 0 ? skippedBetween(read, control.known, control.number, missed) : late;
  const progress = groups.map(
    ({ row, steps, cohorts }): GroupProgress => ({
      steps: steps - late,
      cohorts: alike(
        cohorts.map(({ names, steps, missed, memories }) => {
          const taken = steps - lateOf(missed);
          return { names, steps: taken, memory: memories.get(taken) ?? row.memory ?? [] };
        }),
      ),
    }),
  );
  const metadata = describeGroups(groups, progress, schedules, guards, options, pytorch);
  yield writeSafetensorsHeader(tensors, metadata).header;
  for (let part = await data.next(); part; part = await data.next()) {
    squares?.add(part);
    yield part;
  }
}

/** Tensors of one count and memory together. */
function alike(cohorts: readonly TensorProgress[]): readonly TensorProgress[] {
  const joined = new Map<string, TensorProgress>();
  for (const { names, steps, memory } of cohorts) {
    const key = JSON.stringify([steps, memory]);
    const before = joined.get(key)?.names ?? [];
    joined.set(key, { names: [...before, ...names], steps, memory });
  }
  return [...joined.values()];
}

const readControl = (bytes: Uint8Array | undefined, { layout }: SavedControl) =>
  readStruct(new DataView(bytes!.buffer), 0, layout);

function progressOf(
  { loss_scale = 1, good_steps = 0, applied = 0, skipped = 0 }: Readonly<Record<string, number>>,
  { dynamic }: SavedControl,
): GuardProgress {
  return { dynamic, lossScale: loss_scale, goodSteps: good_steps, applied, skipped };
}

/** The file in memory. @throws OptimError as {@link fileParts} */
export async function collectFile(
  captured: Captured,
  options: SaveOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const all: Uint8Array[] = [];
    for await (const part of fileParts(captured, options)) all.push(part);
    const file = new Uint8Array(all.reduce((size, { length }) => size + length, 0));
    let at = 0;
    for (const part of all) {
      file.set(part, at);
      at += part.length;
    }
    return file;
  } finally {
    captured.data.release();
  }
}
