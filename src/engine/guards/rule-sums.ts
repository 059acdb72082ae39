import { recent } from "../../memo.js";
import type { RuleShader } from "../../rule.js";
import { BufferPass } from "../kernels/buffer-pass.js";
import { STAGE_STRUCT } from "../kernels/compose.js";
import { Kernel, type Variant } from "../kernels/pipelines.js";
import { accessesOf, type Dispatch, encodeStrips, type Stream } from "../kernels/plan.js";
import type { GroupMemory } from "../memory/group-memory.js";
import type { Tensor } from "../memory/parameters.js";
import { Passing } from "../memory/passing.js";
import type { Form } from "../memory/spans.js";
import type { MemoryContext } from "../memory/state.js";
import { packStruct } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import type { SteppedCohort } from "../verbs.js";
import { COMPONENTS, composeMeasure, packed, RULE, sumsOf } from "./compose-sums.js";
import { SETTLED } from "./control.js";
import type { Run } from "./runs.js";
import type { StripTable } from "./strips.js";
import {
  compileSums,
  encodeSums,
  type Reduction,
  type RunSums,
  sumPieces,
  sumRuns,
  WORKGROUP,
} from "./sums.js";

const SETTLING = { count: "u32" } as const;

/** What is summed up over tensors before a step, and what it comes to. */
export interface Summing {
  readonly name: string;
  /** Whether a group has such sums. */
  readonly has: (group: GroupMemory) => boolean;
  /** Whether its tensors share one sum, and that with other groups of its rule. */
  readonly shared: (group: GroupMemory) => boolean;
  /** The kernel over strips, with the bindings of the step. */
  readonly measure: (group: GroupMemory, width: Form) => string;
  /** The kernel over tensors that makes something of the sums: {@link settleKernel}. */
  readonly settle: (group: GroupMemory) => {
    readonly file: string;
    readonly code: string;
    readonly constants: Readonly<Record<string, number>>;
  };
}

const constantsOf = ({ rule: { row, options } }: GroupMemory) => row.constants?.(options) ?? {};

/** What a rule's own `measure` and `settle` say. */
export const OWN: Summing = {
  name: "rule",
  has: ({ shader }) => shader.sums.length > 0,
  shared: ({ rule }) => rule.row.scope === "all",
  measure: ({ shader, fromOrigin }, width) => composeMeasure(shader, width, fromOrigin),
  settle: (group) => ({
    file: group.shader.file,
    code: composeSettle(group.shader),
    constants: constantsOf(group),
  }),
};

/** Sums that are not measured. */
const GIVEN: Readonly<Record<string, string>> = {
  count: "engine_counts[engine_run]",
  loss: "engine_loss[0]",
};

/** Settles what a rule measured. */
export function composeSettle(shader: RuleShader): string {
  const sums = shader.sums.map((name, i) => GIVEN[name] ?? `engine_sum.${COMPONENTS[i]}`).join(", ");
  const kept = shader.settled.map((_, i) => `engine_kept.${COMPONENTS[i]}`).join(", ");
  return settleKernel(
    shader.code,
    `let engine_kept = engine_tensors[engine_tensor].settled;
    let engine_next = settle(Sums(${sums}), Settled(${kept}));
    engine_tensors[engine_tensor].settled = ${packed(shader.settled, "engine_next")};`,
  );
}

/**
 * Settles the sums of a group's tensors, a tensor an invocation; those that share a sum settle the same. It binds sums of
 * pieces, where those of each run begin and the last ones end, the values of all tensors, counts of elements of each run,
 * which tensors to settle and by which runs, and the caller's loss. A step that is skipped settles nothing.
 * @param code of a rule, or none
 * @param body that sees `engine_sum` and writes to `engine_tensors[engine_tensor]`
 */
export function settleKernel(code: string, body: string): string {
  return `${code}
${STAGE_STRUCT}@group(0) @binding(1) var<uniform> engine_stage: engine_Stage;
struct Values {
  @size(${SETTLED - 4}) found: f32,
  caution: f32,
  settled: vec4f,
}
struct engine_Settling {
  count: u32,
}
@group(1) @binding(0) var<uniform> engine_settling: engine_Settling;
${sumsOf(RULE)}@group(1) @binding(1) var<storage, read> engine_sums: array<vec4f>;
@group(1) @binding(2) var<storage, read> engine_firsts: array<u32>;
@group(1) @binding(3) var<storage, read_write> engine_tensors: array<Values>;
@group(1) @binding(4) var<storage, read> engine_counts: array<f32>;
@group(1) @binding(5) var<storage, read> engine_settled: array<vec2u>;
@group(1) @binding(6) var<storage, read> engine_loss: array<f32>;

fn engine_leaf(k: u32) -> vec4f {
  return engine_sums[k];
}

@compute @workgroup_size(${WORKGROUP})
fn engine_main(@builtin(global_invocation_id) engine_id: vec3u, @builtin(num_workgroups) engine_groups: vec3u) {
  if (engine_stage.skip != 0u) {
    return;
  }
  for (var engine_i = engine_id.x; engine_i < engine_settling.count; engine_i += engine_groups.x * ${WORKGROUP}u) {
    let engine_run = engine_settled[engine_i].y;
    let engine_sum = engine_summed(engine_firsts[engine_run], engine_firsts[engine_run + 1u]);
    let engine_tensor = engine_settled[engine_i].x;
    ${body}
  }
}
`;
}

/** A group that has such sums. */
interface SummingGroup {
  readonly index: number;
  readonly measure: Kernel;
  /** What settles the sums of all its tensors, and of some. */
  readonly settle: BufferPass;
  readonly settleSome: (tensors: readonly Tensor[]) => BufferPass;
}

/** What runs before the updates of groups with sums: those over strips, over tensors or all of them, and what is settled. */
export class TensorSums {
  readonly #sums: readonly Reduction[];
  readonly #groups: readonly SummingGroup[];

  /** @param streams what a step of a group binds */
  constructor(
    context: MemoryContext,
    summing: Summing,
    groups: readonly GroupMemory[],
    streams: (group: GroupMemory) => readonly Stream[],
    table: StripTable,
    partials: GPUBuffer,
    values: GPUBuffer,
    loss: GPUBuffer,
  ) {
    const { device, label } = context;
    const sumContext = { ...context, parts: RULE } as const;
    const own = groups.filter((group) => summing.has(group) && group.sorted.length > 0);
    const { tensors, joined, joinOf } = joinTensors(own, summing, table);
    const strips = tensors.map((tensor) => table.place(tensor));
    const pieces = sumPieces(sumContext, summing.name, partials, strips);
    // By tensor first, so that the sum over all does not depend on how tensors lie.
    let settled: RunSums = pieces;
    this.#sums = [pieces];
    if (joined.length < tensors.length) {
      const byTensor = sumRuns(sumContext, `${summing.name} by tensor`, pieces.buffer, pieces.of);
      settled = sumPieces(sumContext, `${summing.name} over all`, byTensor.buffer, joined);
      this.#sums = [pieces, byTensor, settled];
    }
    const { buffer: sums, firsts } = settled;
    const counts = countElements(context, joined, tensors);
    const indexOf = new Map(table.tensors.map((tensor, index) => [tensor, index]));
    const passing = { ...context, own: context.own(new Passing()).own };
    this.#groups = own.map((group) => {
      const apart = !summing.shared(group);
      const settling = summing.settle(group);
      const settle = (context: MemoryContext, tensors: readonly Tensor[]) =>
        new BufferPass(context, {
          ...settling,
          name: "settle",
          uniform: packStruct(SETTLING, { count: tensors.length }),
          buffers: [
            ["read-only-storage", sums],
            ["read-only-storage", firsts],
            ["storage", values],
            ["read-only-storage", counts],
            [
              "read-only-storage",
              upload(
                context,
                "settled",
                new Uint32Array(tensors.flatMap((tensor) => [indexOf.get(tensor)!, joinOf(tensor)])),
              ),
            ],
            ["read-only-storage", loss],
          ],
          workgroups: Math.ceil(tensors.length / WORKGROUP),
        });
      const all = settle(context, group.sorted);
      const some = new Map<string, BufferPass>();
      return {
        index: groups.indexOf(group),
        measure: new Kernel(device, {
          label,
          file: group.shader.file,
          constants: constantsOf(group),
          compose: (width) => summing.measure(group, width),
          storages: accessesOf(streams(group)),
        }),
        settle: all,
        // What is settled over all tensors is settled for those that are left out, too.
        settleSome: (tensors) =>
          apart && tensors.length < group.sorted.length
            ? recent(some, tensors.map((tensor) => indexOf.get(tensor)).join(), KEPT_LISTS, () =>
                settle(passing, tensors),
              )
            : all,
      };
    });
  }

  /** @param widths of each group's step, whose bind groups serve */
  async compile(
    widths: (group: number) => Iterable<Form>,
    variants: (group: number) => readonly Variant[],
  ): Promise<void> {
    await Promise.all([
      ...this.#sums.map((sums) => compileSums(sums)),
      ...this.#groups.flatMap(({ index, measure, settle }) => [
        measure.compile(widths(index), variants(index)),
        settle.compile(),
      ]),
    ]);
  }

  /**
   * Encodes what rules measure before their update.
   * @param dispatches of each cohort's step, whose bind groups serve
   * @param variant of each cohort's step
   * @param setScalars sets bind group 0 to those of a cohort
   */
  encode(
    pass: GPUComputePassEncoder,
    stepped: readonly SteppedCohort[],
    dispatches: (one: SteppedCohort) => readonly Dispatch[],
    variant: (block: number) => Variant,
    setScalars: (block: number) => void,
  ): void {
    const each = (encode: (group: SummingGroup, one: SteppedCohort) => void) => {
      for (const group of this.#groups)
        for (const one of stepped)
          if (one.group === group.index) {
            setScalars(one.block);
            encode(group, one);
          }
    };
    each(({ measure }, one) => encodeStrips(pass, measure, dispatches(one), variant(one.block)));
    for (const sums of this.#sums) encodeSums(pass, sums);
    const settled = new Set<BufferPass>();
    each(({ settleSome }, { cohort }) => {
      const settle = settleSome(cohort.tensors);
      if (!settled.has(settle)) settle.encode(pass);
      settled.add(settle);
    });
  }
}

/** How many elements each run of tensors has. */
function countElements(context: MemoryContext, runs: readonly Run[], tensors: readonly Tensor[]): GPUBuffer {
  const counts = runs.map(({ first, count }) =>
    tensors.slice(first, first + count).reduce((sum, { size }) => sum + size / 4, 0),
  );
  return upload(context, "counts", new Float32Array(counts));
}

function upload(
  { device, label, own }: MemoryContext,
  name: string,
  values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
): GPUBuffer {
  const size = Math.max(values.byteLength, 8);
  const usage = USAGE.STORAGE | USAGE.COPY_DST;
  const buffer = own(device.createBuffer({ label: `${label} ${name}`, size, usage }));
  device.queue.writeBuffer(buffer, 0, values);
  return buffer;
}

/** How many lists of tensors that some steps settle are kept. */
const KEPT_LISTS = 8;

/** Tensors of groups that have sums, with those that lie between, and which of them share one. */
function joinTensors(groups: readonly GroupMemory[], { shared }: Summing, table: StripTable) {
  const groupOf = new Map(groups.flatMap((group) => group.sorted.map((tensor) => [tensor, group])));
  const own = table.tensors.flatMap((tensor, index) => (groupOf.has(tensor) ? [index] : []));
  const tensors = table.tensors.slice(own[0], (own.at(-1) ?? -1) + 1);
  const sharedBy = (tensor: Tensor | undefined) => {
    const group = tensor && groupOf.get(tensor);
    return group && shared(group) ? group.rule.row : undefined;
  };
  const joined: Run[] = [];
  const joins = new Map<Tensor, number>();
  tensors.forEach((tensor, first) => {
    const row = sharedBy(tensor);
    const last = joined.at(-1);
    if (last && row && sharedBy(tensors[first - 1]) === row)
      joined[joined.length - 1] = { ...last, count: last.count + 1 };
    else joined.push({ first, count: 1 });
    joins.set(tensor, joined.length - 1);
  });
  return { tensors, joined, joinOf: (tensor: Tensor) => joins.get(tensor)! };
}
