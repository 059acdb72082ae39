import type { RuleShader } from "../../rule.js";
import { BufferPass } from "../kernels/buffer-pass.js";
import { STAGE_STRUCT } from "../kernels/compose.js";
import { Kernel, type Variant } from "../kernels/pipelines.js";
import { accessesOf, type Dispatch, encodeStrips, type Stream } from "../kernels/plan.js";
import type { GroupMemory } from "../memory/group-memory.js";
import type { Tensor } from "../memory/parameters.js";
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

const SETTLING = { first: "u32", count: "u32", run: "u32", apart: "u32" } as const;

/** Settles the sums of a group's tensors, a tensor an invocation; those that share a sum settle the same. */
export function composeSettle(shader: RuleShader): string {
  const sums = shader.sums
    .map((name, i) => (name === "count" ? "engine_counts[engine_run]" : `engine_sum.${COMPONENTS[i]}`))
    .join(", ");
  const kept = shader.settled.map((_, i) => `engine_kept.${COMPONENTS[i]}`).join(", ");
  return `${shader.code}
${STAGE_STRUCT}@group(0) @binding(1) var<uniform> engine_stage: engine_Stage;
struct Values {
  @size(${SETTLED}) found: f32,
  settled: vec4f,
}
struct engine_Settling {
${Object.keys(SETTLING)
  .map((name) => `  ${name}: u32,\n`)
  .join("")}}
@group(1) @binding(0) var<uniform> engine_settling: engine_Settling;
${sumsOf(RULE)}// Of pieces; where those of each run begin, and where the last ones end.
@group(1) @binding(1) var<storage, read> engine_sums: array<vec4f>;
@group(1) @binding(2) var<storage, read> engine_firsts: array<u32>;
@group(1) @binding(3) var<storage, read_write> engine_tensors: array<Values>;
@group(1) @binding(4) var<storage, read> engine_counts: array<f32>; // of elements, of each run

fn engine_leaf(k: u32) -> vec4f {
  return engine_sums[k];
}

@compute @workgroup_size(${WORKGROUP})
fn engine_main(@builtin(global_invocation_id) engine_id: vec3u, @builtin(num_workgroups) engine_groups: vec3u) {
  // A step that is skipped settles nothing.
  if (engine_stage.skip != 0u) {
    return;
  }
  for (var engine_i = engine_id.x; engine_i < engine_settling.count; engine_i += engine_groups.x * ${WORKGROUP}u) {
    let engine_run = engine_settling.run + engine_settling.apart * engine_i;
    let engine_sum = engine_summed(engine_firsts[engine_run], engine_firsts[engine_run + 1u]);
    let engine_tensor = engine_settling.first + engine_i;
    let engine_kept = engine_tensors[engine_tensor].settled;
    let engine_next = settle(Sums(${sums}), Settled(${kept}));
    engine_tensors[engine_tensor].settled = ${packed(shader.settled, "engine_next")};
  }
}
`;
}

/** A group whose rule has sums. */
interface SummingGroup {
  readonly index: number;
  readonly measure: Kernel;
  /** What settles the sums of all its tensors, and of some. */
  readonly settle: BufferPass;
  readonly settleSome: (tensors: readonly Tensor[]) => readonly BufferPass[];
}

/** What rules with sums run before their update: sums over strips, over tensors or all of them, and what is settled. */
export class RuleSums {
  readonly #sums: readonly Reduction[];
  readonly #groups: readonly SummingGroup[];

  /** @param streams what a step of a group binds */
  constructor(
    context: MemoryContext,
    groups: readonly GroupMemory[],
    streams: (group: GroupMemory) => readonly Stream[],
    table: StripTable,
    partials: GPUBuffer,
    values: GPUBuffer,
  ) {
    const { device, label } = context;
    const sumContext = { ...context, parts: RULE } as const;
    const summing = groups.filter(({ rule, sorted }) => rule.row.shader.sums.length > 0 && sorted.length > 0);
    const { tensors, joined, joinOf } = joinTensors(summing, table);
    const strips = tensors.map((tensor) => table.place(tensor));
    const pieces = sumPieces(sumContext, "rule", partials, strips);
    // By tensor first, so that the sum over all does not depend on how tensors lie.
    let settled: RunSums = pieces;
    this.#sums = [pieces];
    if (joined.length < tensors.length) {
      const byTensor = sumRuns(sumContext, "rule by tensor", pieces.buffer, pieces.of);
      settled = sumPieces(sumContext, "rule over all", byTensor.buffer, joined);
      this.#sums = [pieces, byTensor, settled];
    }
    const { buffer: sums, firsts } = settled;
    const counts = countElements(context, joined, tensors);
    this.#groups = summing.map((group) => {
      const { row, options } = group.rule;
      const source = { file: row.shader.file, constants: row.constants?.(options) ?? {} };
      const apart = row.scope !== "all";
      const settle = (tensors: readonly Tensor[]) =>
        new BufferPass(context, {
          ...source,
          name: "settle",
          code: composeSettle(row.shader),
          uniform: packStruct(SETTLING, {
            first: table.tensors.indexOf(tensors[0]!),
            count: tensors.length,
            run: joinOf(tensors[0]!),
            apart: Number(apart),
          }),
          buffers: [
            ["read-only-storage", sums],
            ["read-only-storage", firsts],
            ["storage", values],
            ["read-only-storage", counts],
          ],
          workgroups: Math.ceil(tensors.length / WORKGROUP),
        });
      const all = settle(group.sorted);
      const known = new Map<string, BufferPass>();
      return {
        index: groups.indexOf(group),
        measure: new Kernel(device, {
          ...source,
          label,
          compose: (width) => composeMeasure(group.shader, width, group.fromOrigin),
          storages: accessesOf(streams(group)),
        }),
        settle: all,
        // What is settled over all tensors is settled for those that are left out, too.
        settleSome: (tensors) =>
          apart && tensors.length < group.sorted.length
            ? neighbours(tensors, table).map((run) => {
                const key = `${run[0]!.name} ${run.length}`;
                const pass = known.get(key) ?? settle(run);
                known.set(key, pass);
                return pass;
              })
            : [all],
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
      for (const settle of settleSome(cohort.tensors)) {
        if (!settled.has(settle)) settle.encode(pass);
        settled.add(settle);
      }
    });
  }
}

/** How many elements each run of tensors has. */
function countElements(
  { device, label, own }: MemoryContext,
  runs: readonly Run[],
  tensors: readonly Tensor[],
): GPUBuffer {
  const counts = Float32Array.from(runs, ({ first, count }) =>
    tensors.slice(first, first + count).reduce((sum, { size }) => sum + size / 4, 0),
  );
  const buffer = own(
    device.createBuffer({
      label: `${label} counts of elements`,
      size: Math.max(counts.byteLength, 4),
      usage: USAGE.STORAGE | USAGE.COPY_DST,
    }),
  );
  device.queue.writeBuffer(buffer, 0, counts);
  return buffer;
}

/** Tensors cut into lists of those that are neighbours in a table. */
function neighbours(tensors: readonly Tensor[], table: StripTable): readonly (readonly Tensor[])[] {
  const runs: Tensor[][] = [];
  let last = -2;
  for (const tensor of tensors) {
    const index = table.tensors.indexOf(tensor);
    if (index === last + 1) runs.at(-1)!.push(tensor);
    else runs.push([tensor]);
    last = index;
  }
  return runs;
}

/** Tensors whose rules have sums, those of a rule side by side, and which of them share one: all of a rule with scope `all`. */
function joinTensors(groups: readonly GroupMemory[], table: StripTable) {
  const rowOf = new Map(groups.flatMap(({ sorted, rule }) => sorted.map((tensor) => [tensor, rule.row])));
  const tensors = table.tensors.filter((tensor) => rowOf.has(tensor));
  const joined: Run[] = [];
  const joins = new Map<Tensor, number>();
  tensors.forEach((tensor, first) => {
    const row = rowOf.get(tensor)!;
    const last = joined.at(-1);
    if (last && row.scope === "all" && rowOf.get(tensors[first - 1]!) === row)
      joined[joined.length - 1] = { ...last, count: last.count + 1 };
    else joined.push({ first, count: 1 });
    joins.set(tensor, joined.length - 1);
  });
  return { tensors, joined, joinOf: (tensor: Tensor) => joins.get(tensor)! };
}
