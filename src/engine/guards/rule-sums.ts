import type { RuleRow, RuleShader } from "../../rule.js";
import { COMPONENTS, composeMeasure, packed, STAGE_STRUCT } from "../kernels/compose.js";
import { bindChunk, Kernel, type Variant } from "../kernels/pipelines.js";
import { accessesOf, type Dispatch, encodeStrips, type Stream, widthsOf } from "../kernels/plan.js";
import type { GroupMemory } from "../memory/group-memory.js";
import type { MemoryContext } from "../memory/state.js";
import { packStruct } from "../memory/struct.js";
import type { StripTable } from "./strips.js";
import { PieceSums, type Run, Sums } from "./sums.js";

const SETTLING = { first: "u32", count: "u32", run: "u32", apart: "u32" } as const;
const SETTLE = ["read-only-storage", "read-only-storage", "storage"] as const;
const WORKGROUP = 64;

/** Settles the sums of a group's tensors, a tensor an invocation; those that share a sum settle the same. */
export function composeSettle(shader: RuleShader): string {
  const sums = shader.sums.map((_, i) => `engine_sum.${COMPONENTS[i]}`).join(", ");
  const kept = shader.settled.map((_, i) => `engine_kept.${COMPONENTS[i]}`).join(", ");
  return `${shader.code}
${STAGE_STRUCT}@group(0) @binding(1) var<uniform> engine_stage: engine_Stage;
struct Values {
  @size(32) found: f32,
  settled: vec4f,
}
struct engine_Settling {
${Object.keys(SETTLING)
  .map((name) => `  ${name}: u32,\n`)
  .join("")}}
@group(1) @binding(0) var<uniform> engine_settling: engine_Settling;
// Of pieces; where those of each run begin, and where the last ones end.
@group(1) @binding(1) var<storage, read> engine_sums: array<vec4f>;
@group(1) @binding(2) var<storage, read> engine_firsts: array<u32>;
@group(1) @binding(3) var<storage, read_write> engine_tensors: array<Values>;

@compute @workgroup_size(${WORKGROUP})
fn engine_main(@builtin(global_invocation_id) engine_id: vec3u, @builtin(num_workgroups) engine_groups: vec3u) {
  // A step that is skipped settles nothing.
  if (engine_stage.skip != 0u) {
    return;
  }
  for (var engine_i = engine_id.x; engine_i < engine_settling.count; engine_i += engine_groups.x * ${WORKGROUP}u) {
    let engine_run = engine_settling.run + engine_settling.apart * engine_i;
    var engine_sum = vec4f();
    for (var engine_k = engine_firsts[engine_run + 1u]; engine_k > engine_firsts[engine_run]; engine_k--) {
      engine_sum += engine_sums[engine_k - 1u];
    }
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
  readonly settle: Kernel;
  readonly settling: GPUBindGroup;
  readonly workgroups: number;
}

/** What rules with sums run before their update: sums over strips, over tensors or all of them, and what is settled. */
export class RuleSums {
  readonly #sums: readonly Sums[];
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
    const { device, label, own } = context;
    const summing = groups.filter(({ rule, active }) => rule.row.shader.sums.length > 0 && active.length > 0);
    const { tensors, together, placeOf } = placesOf(summing, table);
    const strips = tensors.map((tensor) => table.place(tensor));
    const pieces = new PieceSums(context, "rule", 4, partials, strips);
    const joined = summing.some(({ rule }) => rule.row.scope === "all");
    // By tensor first, so that the sum over all does not depend on how tensors lie.
    const byTensor = joined ? [new Sums(context, "rule, by tensor", 4, pieces.buffer, pieces.of)] : [];
    const whole = byTensor.map(({ buffer }) => new PieceSums(context, "rule, all", 4, buffer, together));
    this.#sums = [pieces, ...byTensor, ...whole];
    const { buffer: sums, firsts } = whole[0] ?? pieces;
    this.#groups = summing.map((group) => {
      const { row, options } = group.rule;
      const source = { label, file: row.shader.file, constants: row.constants?.(options) ?? {} };
      const uniform = own(
        device.createBuffer({
          label: `${label} settling`,
          size: 16,
          usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
        }),
      );
      const settling = {
        first: table.tensors.indexOf(group.active[0]!),
        count: group.active.length,
        run: placeOf(group, joined),
        apart: row.scope === "all" ? 0 : 1,
      };
      device.queue.writeBuffer(uniform, 0, packStruct(SETTLING, settling));
      return {
        index: groups.indexOf(group),
        measure: new Kernel(device, {
          ...source,
          compose: (width) => composeMeasure(row.shader, width, group.fromOrigin),
          storages: accessesOf(streams(group)),
        }),
        settle: new Kernel(device, { ...source, compose: () => composeSettle(row.shader), storages: SETTLE }),
        settling: bindChunk(
          device,
          `${label} settling`,
          SETTLE,
          [uniform, sums, firsts, values].map((buffer) => ({ buffer })),
        ),
        workgroups: Math.min(
          Math.ceil(group.active.length / WORKGROUP),
          context.limits.maxComputeWorkgroupsPerDimension,
        ),
      };
    });
  }

  /** @param dispatches of each group's step, whose bind groups serve */
  async compile(
    dispatches: (group: number) => readonly Dispatch[],
    variants: (group: number) => readonly Variant[],
  ) {
    await Promise.all([
      ...this.#sums.map((sums) => sums.compile()),
      ...this.#groups.flatMap(({ index, measure, settle }) => [
        measure.compile(widthsOf(dispatches(index)), variants(index)),
        settle.compile([4]),
      ]),
    ]);
  }

  /**
   * Encodes what rules measure before their update.
   * @param dispatches of each group's step, whose bind groups serve
   * @param variant of each group's step
   * @param setScalars sets bind group 0 to those of a group
   */
  encode(
    pass: GPUComputePassEncoder,
    dispatches: (group: number) => readonly Dispatch[],
    variant: (group: number) => Variant,
    setScalars: (group: number) => void,
  ): void {
    for (const { index, measure } of this.#groups) {
      setScalars(index);
      encodeStrips(pass, measure, dispatches(index), variant(index));
    }
    for (const sums of this.#sums) sums.encode(pass);
    for (const { index, settle, settling, workgroups } of this.#groups) {
      setScalars(index);
      pass.setPipeline(settle.pipeline(4));
      pass.setBindGroup(1, settling);
      pass.dispatchWorkgroups(workgroups);
    }
  }
}

/** Where a group's tensors find their sums among those of all tensors whose rules have sums, and how these come together. */
function placesOf(groups: readonly GroupMemory[], table: StripTable) {
  const summing = new Set(groups.flatMap(({ active }) => active));
  const tensors = table.tensors.filter((tensor) => summing.has(tensor));
  const index = new Map(tensors.map((tensor, i) => [tensor, i]));
  // Those of a rule lie side by side.
  const rows = new Set(groups.map(({ rule }) => rule.row));
  const together: Run[] = [];
  const places = new Map<RuleRow, number>();
  for (const row of rows) {
    const own = groups.filter(({ rule }) => rule.row === row).flatMap(({ active }) => active);
    const first = index.get(own[0]!) ?? 0;
    places.set(row, together.length);
    if (row.scope === "all") together.push({ first, count: own.length });
    else together.push(...own.map((_, i) => ({ first: first + i, count: 1 })));
  }
  /** The place of a group's first sum, by tensor or, where some rule has one sum for all, of what came together. */
  const placeOf = ({ rule: { row }, active }: GroupMemory, joined: boolean): number => {
    const first = index.get(active[0]!)!;
    if (!joined) return first;
    const [firstOfRow] = groups.filter(({ rule }) => rule.row === row).flatMap((group) => group.active);
    return places.get(row)! + (row.scope === "all" ? 0 : first - index.get(firstOfRow!)!);
  };
  return { tensors, together, placeOf };
}
