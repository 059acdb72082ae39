import { type CheckedCheckpoint, checkCheckpoint } from "../checkpoint/check.js";
import { stateName } from "../checkpoint/contents.js";
import type { SaveOptions } from "../checkpoint/describe.js";
import { readSafetensorsHeader } from "../checkpoint/read.js";
import { type SavedFile, saveFile } from "../checkpoint/save.js";
import type { Upload } from "../checkpoint/staging.js";
import { OptimError } from "../errors.js";
import type { ParameterGroup } from "./group.js";
import type { Monitor } from "./guards/monitor.js";
import type { GroupPasses } from "./kernels/passes.js";
import type { BufferRange, Tensor } from "./memory/parameters.js";

const COPY_SRC = 0x4; // GPUBufferUsage, absent outside browsers
const COPY_DST = 0x8;

/** Bytes of the control block that a loss scale goes on from: the scale (f32) and its good steps (u32). */
const SCALE_BYTES = 8;

/** What checkpoints see of an optimizer. */
export interface CheckpointedOptimizer {
  readonly device: GPUDevice;
  readonly label: string;
  readonly groups: readonly ParameterGroup[];
  /** Of each group. */
  readonly passes: readonly GroupPasses[];
  readonly monitor: Monitor | undefined;
}

/** Takes down an optimizer of which nothing is encoded and not submitted. @throws OptimError */
export function saveOptimizer(optimizer: CheckpointedOptimizer, options: SaveOptions): SavedFile {
  const { device, label, groups, passes, monitor } = optimizer;
  const ranges = rangesOf(passes);
  if (options?.parameters !== false) requireUsage(passes, "be saved", COPY_SRC, "COPY_SRC");
  return saveFile(
    {
      device,
      label,
      groups: groups.map((group, index) => ({ ...group.snapshot(), ...contentOf(passes[index]!) })),
      rangeOf: (name) => ranges.get(name)!,
      control: monitor && {
        range: { buffer: monitor.control, offset: 0, size: monitor.control.size },
        expected: monitor.attempt - monitor.skipped,
        dynamic: monitor.guards.dynamicScale,
      },
    },
    options,
  );
}

/** A checkpoint that fits, and the bytes that go to the GPU. */
export interface PreparedLoad {
  readonly checked: CheckedCheckpoint;
  readonly uploads: readonly Upload[];
}

/** Checks a checkpoint against an optimizer; nothing changes. @throws OptimError */
export function prepareLoad(
  { groups, passes, monitor }: CheckpointedOptimizer,
  bytes: Uint8Array,
  parameters: boolean,
): PreparedLoad {
  const checked = checkCheckpoint(
    readSafetensorsHeader(bytes, bytes.length),
    groups.map((group, index) => ({ ...group.snapshot(), ...contentOf(passes[index]!) })),
    parameters,
  );
  if (parameters) requireUsage(passes, "be loaded", COPY_DST, "COPY_DST");
  const ranges = rangesOf(passes);
  const uploads: Upload[] = [];
  for (const [name, { start, end }] of checked.tensors) {
    const to = ranges.get(name);
    if (to) uploads.push({ to, data: bytes.subarray(start, end) });
  }
  const { guards } = checked;
  if (monitor?.guards.dynamicScale && guards?.dynamic) {
    const data = new DataView(new ArrayBuffer(SCALE_BYTES));
    data.setFloat32(0, guards.lossScale, true);
    data.setUint32(4, guards.goodSteps, true);
    uploads.push({
      to: { buffer: monitor.control, offset: 0, size: SCALE_BYTES },
      data: new Uint8Array(data.buffer),
    });
  }
  return { checked, uploads };
}

const contentOf = ({ tensors, states }: GroupPasses) => ({ tensors, states });

/** Where each tensor of a file lies on the GPU; those without elements are left out. */
function rangesOf(passes: readonly GroupPasses[]): ReadonlyMap<string, BufferRange> {
  const ranges = new Map<string, BufferRange>();
  for (const group of passes)
    for (const tensor of group.tensors) {
      if (tensor.size === 0) continue;
      const { buffer, offset } = tensor.param;
      ranges.set(tensor.name, { buffer, offset, size: tensor.size });
      for (const state of group.states) ranges.set(stateName(tensor.name, state), group.state(tensor, state));
    }
  return ranges;
}

function requireUsage(passes: readonly GroupPasses[], what: string, usage: number, name: string): void {
  const lacks = ({ size, param }: Tensor) => size > 0 && !(param.buffer.usage & usage);
  const tensor = passes.flatMap(({ tensors }) => tensors).find(lacks);
  if (tensor)
    throw new OptimError("invalid-buffer", `Parameter of '${tensor.name}' cannot ${what}`, {
      expected: `usage ${name}`,
      got: `usage 0x${tensor.param.buffer.usage.toString(16)}`,
      fix: `create the buffer with GPUBufferUsage.${name}, or pass { parameters: false }`,
    });
}
