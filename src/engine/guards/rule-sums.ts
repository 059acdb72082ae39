import { chunkLayout } from "../kernels/pipelines.js";
import type { BufferRange, Tensor } from "../memory/parameters.js";
import type { MonitoredGroup } from "./monitor.js";
import { SETTLE, type SumKernels } from "./monitor-kernels.js";
import { encodeAll, type MonitoredDispatch } from "./monitored-spans.js";

type Create = (name: string, size: number, usage?: number) => GPUBuffer;
type Bind = (
  name: string,
  layout: GPUBindGroupLayout,
  resources: readonly GPUBufferBinding[],
) => GPUBindGroup;

/** Where rules with sums have theirs in the monitor's buffer of vec4f sums, behind its own. */
export interface RuleSumPlaces {
  /** Of what is settled for each tensor: those that are stepped in the order of the monitor, then frozen ones. */
  readonly settled: number;
  /** Of the partial sums of each item. */
  readonly partials: number;
  /** Of the sums of each tensor. */
  readonly totals: number;
  /** Behind all of it. */
  readonly end: number;
}

/** @param first place that is free; @param partials how many partial sums there are */
export function placeRuleSums(
  groups: readonly MonitoredGroup[],
  first: number,
  partials: number,
): RuleSumPlaces {
  const count = (tensors: (group: MonitoredGroup) => number) =>
    groups.reduce((sum, group) => sum + tensors(group), 0);
  const stepped = count(({ tensors }) => tensors.length);
  const behind = first + stepped + count(({ frozen }) => frozen.length);
  const totals = behind + partials;
  return { settled: first, partials: behind, totals, end: totals + stepped };
}

/** What rules with sums run in a monitor before their update. */
export class RuleSums {
  readonly #kernels: readonly (SumKernels | undefined)[];
  readonly #sums: GPUBuffer;
  /** Place of what is settled. */
  readonly #settled: ReadonlyMap<Tensor, number>;
  readonly #settlings: readonly GPUBindGroup[];
  /** The bind group that adds up partial sums by tensor, given the ranges of each tensor's items. */
  readonly bindTotals: (ranges: GPUBuffer) => GPUBindGroup;

  /** Makes what the passes bind, and writes what is settled before the first step. */
  constructor(
    device: GPUDevice,
    places: RuleSumPlaces,
    groups: readonly MonitoredGroup[],
    kernels: readonly (SumKernels | undefined)[],
    sums: GPUBuffer,
    create: Create,
    bind: Bind,
  ) {
    this.#kernels = kernels;
    this.#sums = sums;
    const stepped = groups.flatMap(({ tensors }) => tensors);
    const order = [...stepped, ...groups.flatMap(({ frozen }) => frozen)];
    this.#settled = new Map(order.map((tensor, index) => [tensor, places.settled + index]));
    const uniform = (name: string, words: readonly number[]) => {
      const buffer = create(name, words.length * 4, GPUBufferUsage.UNIFORM);
      device.queue.writeBuffer(buffer, 0, new Uint32Array(words));
      return buffer;
    };
    const layout = chunkLayout(device, SETTLE);
    // In the order of `Settle`.
    const totals = uniform("rule sums", [stepped.length, places.totals, places.partials]);
    this.bindTotals = (ranges) =>
      bind("rule sums", layout, [{ buffer: totals }, { buffer: ranges }, { buffer: sums }]);
    const rows = [...new Set(groups.map(({ rule }) => rule.row))];
    const ruleOf = ({ rule }: MonitoredGroup) => rows.indexOf(rule.row);
    const rules = create("rules", stepped.length * 4);
    const ruleOfTensor = groups.flatMap((group) => group.tensors.map(() => ruleOf(group)));
    device.queue.writeBuffer(rules, 0, new Uint32Array(ruleOfTensor));
    for (const { rule, tensors, frozen } of groups) {
      const initial = rule.row.initial?.(rule.options) ?? {};
      rule.row.shader.settled.forEach((name, index) => {
        for (const tensor of initial[name] ? [...tensors, ...frozen] : [])
          device.queue.writeBuffer(
            sums,
            this.settled(tensor, index).offset,
            new Float32Array([initial[name]!]),
          );
      });
    }
    let first = 0;
    this.#settlings = groups.map((group, index) => {
      const { length } = group.tensors;
      // In the order of `engine_Settling`.
      const words = [first, length, stepped.length, places.totals, places.settled, ruleOf(group)];
      first += length;
      const settling = uniform(`settling ${index}`, words);
      return bind(`settling ${index}`, layout, [{ buffer: settling }, { buffer: rules }, { buffer: sums }]);
    });
  }

  /** Where a value that is settled for a tensor lies: one f32. @param index of the field of `Settled` */
  settled(tensor: Tensor, index: number): BufferRange {
    return { buffer: this.#sums, offset: this.#settled.get(tensor)! * 16 + index * 4, size: 4 };
  }

  /**
   * Encodes what rules measure before their update: sums by item, by tensor, and what is settled from them.
   * @param plans of each group's step, whose bind groups serve
   * @param addUp encodes the sums by tensor
   * @param setScalars sets bind group 0 to those of a group
   */
  encode(
    pass: GPUComputePassEncoder,
    plans: readonly (readonly MonitoredDispatch[])[],
    addUp: () => void,
    setScalars: (group: number) => void,
  ): void {
    this.#kernels.forEach((kernels, index) => {
      if (!kernels) return;
      setScalars(index);
      encodeAll(pass, kernels.measure, plans[index]!, "step");
    });
    addUp();
    this.#kernels.forEach((kernels, index) => {
      if (!kernels) return;
      setScalars(index);
      pass.setPipeline(kernels.settle);
      pass.setBindGroup(1, this.#settlings[index]!);
      pass.dispatchWorkgroups(1);
    });
  }
}
