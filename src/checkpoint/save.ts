import type { BufferRange } from "../engine/memory/parameters.js";
import type { RuleMemory } from "../rule.js";
import type { CheckpointGroup, GroupProgress, GuardProgress } from "./contents.js";
import { checkSaveOptions, describeGroups, describeTensors, type SaveOptions } from "./describe.js";
import { saveSchedules } from "./schedules.js";
import { ReadBack } from "./staging.js";
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
  /** loss scale (f32), good steps, attempt, applied, skipped (u32 each). */
  readonly range: BufferRange;
  /** Steps that should have been applied, as far as the host knows. */
  readonly expected: number;
  /** Whether the loss scale changes by itself. */
  readonly dynamic: boolean;
}

/** An optimizer at the moment of saving. */
export interface SavedOptimizer {
  readonly device: GPUDevice;
  readonly label: string;
  readonly groups: readonly SavedGroup[];
  /** Where a parameter (by its name) or a state (by {@link stateName}) lies; called for those with elements. */
  readonly rangeOf: (name: string) => BufferRange;
  readonly control: SavedControl | undefined;
}

/** A checkpoint being read back, by parts. */
export interface SavedFile {
  /** The file in order, its header first. */
  readonly parts: AsyncGenerator<Uint8Array, void>;
  /** Frees what was not read. */
  readonly release: () => void;
}

/**
 * Takes down an optimizer as it is now. What comes later does not change the file.
 * @throws OptimError `invalid-argument`, `invalid-option`, `duplicate-name` or `limit-exceeded`
 */
export function saveFile(optimizer: SavedOptimizer, options: SaveOptions): SavedFile {
  const { device, label, groups, rangeOf, control } = optimizer;
  checkSaveOptions(options, groups);
  const tensors = describeTensors(groups, options.parameters ?? true);
  const schedules = saveSchedules(
    groups.flatMap(({ schedule, optionSchedules }) => [schedule, ...Object.values(optionSchedules)]),
  );
  const { offsets } = writeSafetensorsHeader(tensors);
  const ranges = [...offsets].filter(([, { start, end }]) => end > start).map(([name]) => rangeOf(name));
  // What the GPU decided comes first: it says which step this is.
  const data = new ReadBack(device, label, control ? [[control.range], ranges] : [ranges]);

  async function* parts(): AsyncGenerator<Uint8Array, void> {
    const guards = control && readControl(await data.next(), control.dynamic);
    const late = control && guards ? control.expected - guards.applied : 0;
    const progress = groups.map(({ steps, memoryAfter }): GroupProgress => {
      const taken = steps - late;
      return { steps: taken, memory: memoryAfter(taken) };
    });
    const metadata = describeGroups(groups, progress, schedules, guards, options);
    yield writeSafetensorsHeader(tensors, metadata).header;
    for (let part = await data.next(); part; part = await data.next()) yield part;
  }
  return { parts: parts(), release: () => data.release() };
}

function readControl(bytes: Uint8Array | undefined, dynamic: boolean): GuardProgress {
  const view = new DataView(bytes!.buffer);
  const word = (index: number) => view.getUint32(4 * index, true);
  return {
    dynamic,
    lossScale: view.getFloat32(0, true),
    goodSteps: word(1),
    applied: word(3),
    skipped: word(4),
  };
}

/** The file as a stream: a staging buffer at a time, as it is asked for. */
export function streamFile({ parts, release }: SavedFile): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { value, done } = await parts.next();
          if (done) controller.close();
          // Read-backs and headers have buffers of their own.
          else controller.enqueue(value as Uint8Array<ArrayBuffer>);
        } catch (error) {
          release();
          throw error;
        }
      },
      cancel: release,
    },
    { highWaterMark: 0 },
  );
}

/** The file in memory. */
export async function collectFile({ parts, release }: SavedFile): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const all: Uint8Array[] = [];
    for await (const part of parts) all.push(part);
    const file = new Uint8Array(all.reduce((size, { length }) => size + length, 0));
    let at = 0;
    for (const part of all) {
      file.set(part, at);
      at += part.length;
    }
    return file;
  } finally {
    release();
  }
}
