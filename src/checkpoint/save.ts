import type { ReadBack } from "../engine/memory/read-back.js";
import { readStruct, type StructLayout } from "../engine/memory/struct.js";
import type { RuleMemory } from "../rule.js";
import type { CheckpointGroup, GroupProgress, GuardProgress } from "./contents.js";
import { checkSaveOptions, describeGroups, describeTensors, type SaveOptions } from "./describe.js";
import type { SavedSchedules } from "./saved-schedules.js";
import { writeSafetensorsHeader } from "./write.js";

/** A group as it is at the moment of saving. */
export interface SavedGroup extends CheckpointGroup {
  /** Steps that the host has encoded. */
  readonly steps: number;
  /** The rule's memory after so many steps. */
  readonly memoryAfter: (steps: number) => RuleMemory;
}

/** What the GPU decides by itself, where there are guards. */
export interface SavedControl {
  readonly layout: StructLayout;
  /** Steps that should have been applied, as far as the host knows. */
  readonly expected: number;
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
  const guards = control && readControl(await data.next(), control);
  const late = control && guards ? control.expected - guards.applied : 0;
  const progress = groups.map(({ steps, memoryAfter }): GroupProgress => {
    const taken = steps - late;
    return { steps: taken, memory: memoryAfter(taken) };
  });
  const metadata = describeGroups(groups, progress, schedules, guards, options, pytorch);
  yield writeSafetensorsHeader(tensors, metadata).header;
  for (let part = await data.next(); part; part = await data.next()) {
    squares?.add(part);
    yield part;
  }
}

function readControl(bytes: Uint8Array | undefined, { layout, dynamic }: SavedControl): GuardProgress {
  const read = readStruct(new DataView(bytes!.buffer), 0, layout);
  const { loss_scale = 1, good_steps = 0, applied = 0, skipped = 0 } = read;
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
