import * as clipShader from "../../shaders/engine/clip.wgsl?engine";
import * as controlShader from "../../shaders/engine/control.wgsl?engine";
import * as sumShader from "../../shaders/engine/sum.wgsl?engine";
import * as tensorsShader from "../../shaders/engine/tensors.wgsl?engine";
import { BufferPass } from "../kernels/buffer-pass.js";
import type { Variant } from "../kernels/pipelines.js";
import type { MemoryContext } from "../memory/state.js";
import { packStruct } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import { type PartKind, sumsOf } from "./compose-sums.js";
import { cutRuns, type Run } from "./runs.js";

/** What sums are made with. */
export interface SumContext extends MemoryContext {
  readonly parts: PartKind;
}

/** A list of sums, and the dispatches that bring it about. */
export interface Reduction {
  readonly buffer: GPUBuffer;
  readonly count: number;
  readonly passes: readonly (readonly [pass: BufferPass, ofTensors: boolean])[];
}

/** Sums of each run, as a reduction with the place of each run's in the list. */
export interface RunSums extends Reduction {
  /** Where those of each run begin, and where the last ones end. */
  readonly firsts: GPUBuffer;
  readonly of: readonly Run[];
}

/** Constants of a pass over tensors: whether their gradients have limits of their own. */
export const FACTORS: Variant = { factors: 1 };
export const NO_FACTORS: Variant = { factors: 0 };

/** Invocations per workgroup of passes over sums. */
export const WORKGROUP = 64;
/** Powers of two, at least that root. */
const root = (degree: number) => (count: number) => 2 ** Math.ceil(Math.log2(Math.max(count, 1)) / degree);
/** With a head and a tail, still less than a block of a sum. */
const SHORT = (count: number) => Math.min(root(3)(count), 16);
const SQUARE_ROOT = root(2);

const listOf = ({ device, label, parts, own }: SumContext, name: string, count: number) =>
  own(
    device.createBuffer({
      label: `${label} ${name}`,
      size: Math.max(count, 1) * 4 * parts.lanes,
      usage: USAGE.STORAGE,
    }),
  );

/** Where runs begin, and where the last one ends. @param runs that follow each other */
function firstsOf({ device, label, own }: SumContext, name: string, runs: readonly Run[]): GPUBuffer {
  const last = runs.at(-1);
  const firsts = Uint32Array.from([...runs.map(({ first }) => first), last ? last.first + last.count : 0]);
  const buffer = own(
    device.createBuffer({
      label: `${label} ${name} runs`,
      size: firsts.byteLength,
      usage: USAGE.STORAGE | USAGE.COPY_DST,
    }),
  );
  device.queue.writeBuffer(buffer, 0, firsts);
  return buffer;
}

/** A sum of each run, one an invocation, in a fixed order. @param runs that follow each other */
export function sumRuns(
  context: SumContext,
  name: string,
  parts: GPUBuffer,
  runs: readonly Run[],
): Reduction {
  const buffer = listOf(context, `${name} sums`, runs.length);
  const pass = new BufferPass(context, {
    name,
    file: "engine/sum.wgsl",
    code: sumsOf(context.parts) + sumShader.code,
    uniform: packStruct(sumShader.structs.Sum!, { count: runs.length }),
    buffers: [
      ["read-only-storage", firstsOf(context, name, runs)],
      ["read-only-storage", parts],
      ["storage", buffer],
    ],
    workgroups: Math.ceil(runs.length / WORKGROUP),
  });
  return { buffer, count: runs.length, passes: [[pass, false]] };
}

const after = <R extends Reduction>(first: Reduction, next: R): R => ({
  ...next,
  passes: [...first.passes, ...next.passes],
});

/** A list to a list of about its root, whose sum is the same. */
function sumList(context: SumContext, name: string, { buffer, count }: Reduction): Reduction {
  const { pieces } = cutRuns(count > 0 ? [{ first: 0, count }] : [], SQUARE_ROOT);
  return sumRuns(context, name, buffer, pieces);
}

/**
 * Sums of each run, of which a few are left that whoever needs the run's adds up: pieces of pieces, so that nobody adds up
 * many alone however long a run is.
 */
export function sumPieces(
  context: SumContext,
  name: string,
  parts: GPUBuffer,
  runs: readonly Run[],
): RunSums {
  const small = cutRuns(runs, SHORT);
  const large = cutRuns(small.of, SQUARE_ROOT);
  const first = sumRuns(context, `${name} pieces`, parts, small.pieces);
  const second = sumRuns(context, `${name} larger pieces`, first.buffer, large.pieces);
  return { ...after(first, second), firsts: firstsOf(context, name, large.of), of: large.of };
}

/** Sums over all runs: of pieces of each, and of pieces of their list, so that no sum depends on where runs lie. */
export function sumAll(context: SumContext, name: string, parts: GPUBuffer, runs: readonly Run[]): Reduction {
  const first = sumRuns(context, `${name} pieces`, parts, cutRuns(runs, SHORT).pieces);
  return after(first, sumList(context, name, first));
}

/**
 * As {@link sumAll}, of tensors of which what is found is kept.
 * @param changes whether the sums are of parameters and updates, not of gradients
 */
export function sumTensors(
  context: SumContext,
  name: string,
  changes: boolean,
  parts: GPUBuffer,
  runs: readonly Run[],
  values: GPUBuffer,
): Reduction {
  const pieces = sumPieces(context, name, parts, runs);
  const buffer = listOf(context, `${name} by tensor`, runs.length);
  const pass = new BufferPass(context, {
    name: `${name} by tensor`,
    file: "engine/tensors.wgsl",
    code: sumsOf(context.parts) + controlShader.code + clipShader.code + tensorsShader.code,
    uniform: packStruct(tensorsShader.structs.Tensors!, { count: runs.length }),
    buffers: [
      ["read-only-storage", pieces.buffer],
      ["read-only-storage", pieces.firsts],
      ["storage", values],
      ["storage", buffer],
    ],
    workgroups: Math.ceil(runs.length / WORKGROUP),
    constants: { changes: Number(changes) },
  });
  const tensors: Reduction = { buffer, count: runs.length, passes: [[pass, true]] };
  return after(after(pieces, tensors), sumList(context, name, tensors));
}

/** Compiles a reduction. @param factors of passes over tensors */
export async function compileSums({ passes }: Reduction, factors = NO_FACTORS): Promise<void> {
  await Promise.all(passes.map(([pass, ofTensors]) => pass.compile(ofTensors ? [factors] : undefined)));
}

/** Encodes a reduction. @param factors of passes over tensors */
export function encodeSums(pass: GPUComputePassEncoder, { passes }: Reduction, factors = NO_FACTORS): void {
  for (const [level, ofTensors] of passes) level.encode(pass, ofTensors ? factors : undefined);
}
