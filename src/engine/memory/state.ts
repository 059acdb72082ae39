import { OptimError } from "../../errors.js";
import type { BufferRange, Range, Tensor } from "./parameters.js";
import { joinSpans, type PlanLimits } from "./spans.js";
import { USAGE } from "./usage.js";

/** Where a tensor's state lies: in which slab, at which byte of each of its buffers. */
export interface Placement {
  readonly slab: number;
  readonly offset: number;
}

/** Places every tensor. Tensors that are contiguous in their parameters are contiguous here. */
export function placeState(
  tensors: readonly Tensor[],
  limits: PlanLimits,
): { readonly placements: ReadonlyMap<Tensor, Placement>; readonly slabs: readonly number[] } {
  const alignment = limits.minStorageBufferOffsetAlignment;
  const placements = new Map<Tensor, Placement>();
  const slabs: number[] = [];
  for (const span of joinSpans(tensors, ({ param }) => [param])) {
    const start = span.tensors[0].param.offset;
    // The parameter's offset within the alignment is kept, so that one index serves parameters and states.
    const congruent = (end: number) => Math.ceil(end / alignment) * alignment + (start % alignment);
    let offset = congruent(slabs.at(-1) ?? 0);
    if (slabs.length === 0 || offset + span.size > limits.maxBufferSize) {
      offset = congruent(0);
      slabs.push(0);
    }
    for (const tensor of span.tensors)
      placements.set(tensor, { slab: slabs.length - 1, offset: offset + tensor.param.offset - start });
    slabs[slabs.length - 1] = offset + span.size;
  }
  return { placements, slabs };
}

/** What memory is made with. */
export interface MemoryContext {
  readonly device: GPUDevice;
  readonly label: string;
  readonly limits: PlanLimits;
  /** Called with each resource as soon as it is made, since a later one may fail. */
  readonly own: <T extends { destroy(): void }>(resource: T) => T;
}

/** The engine's own memory beside the parameters: states, look-ahead origin, accumulator; one buffer each and slab. */
export class StateMemory {
  readonly #placements: ReadonlyMap<Tensor, Placement>;
  readonly #buffers: ReadonlyMap<string, readonly GPUBuffer[]>;

  /** @param initial the value that each kind of state begins with */
  constructor(context: MemoryContext, tensors: readonly Tensor[], initial: ReadonlyMap<string, number>) {
    const { placements, slabs } = placeState(tensors, context.limits);
    this.#placements = placements;
    this.#buffers = new Map(
      [...initial].map(([name, value]) => [
        name,
        slabs.map((size, slab) => createFilled(context, `${name} ${slab}`, size, value)),
      ]),
    );
  }

  /** The range of one kind of state of a tensor. Zero-length tensors have none. */
  range(tensor: Tensor, name: string): Range {
    const placement = this.#placements.get(tensor);
    const buffer = placement && this.#buffers.get(name)?.[placement.slab];
    if (!placement || !buffer)
      throw new OptimError("unknown-name", `'${tensor.name}' has no state '${name}'`, {
        expected: [...this.#buffers.keys()].join(", ") || "a rule with state",
        got: `'${name}'`,
        fix: "correct the name",
      });
    return { buffer, offset: placement.offset, padding: tensor.param.padding };
  }

  /** As {@link range}, for callers. */
  bufferRange(tensor: Tensor, name: string): BufferRange {
    const { buffer, offset } = this.range(tensor, name);
    return { buffer, offset, size: tensor.size };
  }
}

function createFilled(
  { device, label, own }: MemoryContext,
  name: string,
  size: number,
  value: number,
): GPUBuffer {
  const mappedAtCreation = value !== 0;
  const buffer = own(
    device.createBuffer({
      label: `${label} ${name}`,
      size,
      usage: USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST,
      mappedAtCreation,
    }),
  );
  if (mappedAtCreation) {
    new Float32Array(buffer.getMappedRange()).fill(value);
    buffer.unmap();
  }
  return buffer;
}
