import { briefly, OptimError } from "../../errors.js";
import { checkNames } from "../options/check-names.js";
import { type BufferRange, elementCount, type Parameter } from "./parameters.js";
import { USAGE } from "./usage.js";

/** Bytes: the coarsest offset at which WebGPU lets a caller bind a range. */
const ALIGNMENT = 256;

/** Tensor name → shape. */
export type ArenaGroup = Readonly<Record<string, readonly number[]>>;

/** A tensor of an arena: a {@link Parameter} whose ranges can be bound as they are. */
export interface ArenaParameter extends Parameter {
  readonly param: BufferRange;
  readonly grad: BufferRange;
  readonly shape: readonly number[];
}

/** Parameters and gradients of a model in two buffers, so that a group is one dispatch however many tensors it has. */
export interface Arena<G extends readonly ArenaGroup[] = readonly ArenaGroup[]> {
  readonly parameters: GPUBuffer;
  readonly gradients: GPUBuffer;
  /** The tensors of each group, in order. */
  readonly groups: { readonly [K in keyof G]: readonly ArenaParameter[] };
  /** A tensor by name. @throws OptimError `unknown-name` */
  get(name: string): ArenaParameter;
  /** Frees both buffers. */
  destroy(): void;
}

/** Options of {@link createArena}. */
export interface ArenaOptions {
  readonly label?: string;
  /** Usage beside `STORAGE | COPY_SRC | COPY_DST`. */
  readonly usage?: GPUBufferUsageFlags;
}

/**
 * Lays out tensors group by group in one buffer of parameters and one of gradients, both zero. Each range is padded to
 * 256 bytes; the padding must stay zero.
 * @throws OptimError `invalid-argument`, `duplicate-name`, or `limit-exceeded` past the device's `maxBufferSize`.
 */
export function createArena<const G extends readonly ArenaGroup[]>(
  device: GPUDevice,
  groups: G,
  options: ArenaOptions = {},
): Arena<G> {
  if (typeof device?.createBuffer !== "function")
    throw new OptimError("invalid-argument", "There is no device for the arena", {
      expected: "a GPUDevice",
      got: briefly(device),
      fix: "await requestDevice() and pass what it gives",
    });
  checkNames("arena", options, ["label", "usage"]);
  const label = options.label ?? "arena";
  const { layout, size } = layOut(groups);
  if (size > device.limits.maxBufferSize)
    throw new OptimError("limit-exceeded", `'${label}' does not fit one buffer`, {
      expected: `at most ${device.limits.maxBufferSize} bytes (maxBufferSize)`,
      got: `${size} bytes`,
      fix: "request a larger limit (requestDevice does), or use several arenas",
    });
  const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST | (options.usage ?? 0);
  const create = (role: string) =>
    device.createBuffer({ label: `${label} ${role}`, size: Math.max(size, ALIGNMENT), usage });
  const parameters = create("parameters");
  const gradients = create("gradients");
  const tensors = layout.map((group) =>
    group.map(({ name, shape, ...range }) => ({
      name,
      shape,
      param: { buffer: parameters, ...range },
      grad: { buffer: gradients, ...range },
    })),
  );
  const byName = new Map(tensors.flat().map((tensor) => [tensor.name, tensor]));
  return {
    parameters,
    gradients,
    groups: tensors as unknown as Arena<G>["groups"],
    get(name) {
      const tensor = byName.get(name);
      if (tensor) return tensor;
      throw new OptimError("unknown-name", `'${label}' has no tensor '${name}'`, {
        expected: `one of ${[...byName.keys()].slice(0, 20).join(", ")}`,
        got: briefly(name),
        fix: "correct the name",
      });
    },
    destroy() {
      parameters.destroy();
      gradients.destroy();
    },
  };
}

function layOut(groups: readonly ArenaGroup[]) {
  if (!Array.isArray(groups) || groups.some((group) => typeof group !== "object" || group === null))
    throw new OptimError("invalid-argument", "The arena has no list of groups", {
      expected: "a list of objects, each with shapes by name",
      got: briefly(groups),
      fix: "pass [{ w: [784, 128], b: [128] }]",
    });
  const names = new Set<string>();
  let size = 0;
  const layout = groups.map((group) =>
    Object.entries<readonly number[]>(group).map(([name, shape]) => {
      if (names.has(name))
        throw new OptimError("duplicate-name", `Two tensors of the arena are named '${name}'`, {
          expected: "unique names in all groups",
          got: `'${name}' twice`,
          fix: "rename one",
        });
      names.add(name);
      const bytes = 4 * elementCount(name, shape);
      const padding = (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT;
      const range = { name, shape: [...shape], offset: size, size: bytes, padding };
      size += bytes + padding;
      return range;
    }),
  );
  return { layout, size };
}
