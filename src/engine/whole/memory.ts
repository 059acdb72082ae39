import { memo } from "../../memo.js";
import type { RuleRow } from "../../rule.js";
import type { WholePass } from "../../whole-tensor.js";
import { bindChunk, Kernel } from "../kernels/pipelines.js";
import type { PlanContext } from "../kernels/plan.js";
import type { GroupStep, StepExtension } from "../kernels/step.js";
import type { GroupMemory } from "../memory/group-memory.js";
import type { BufferRange, Range, Tensor } from "../memory/parameters.js";
import { Passing } from "../memory/passing.js";
import { BLOCK } from "../memory/slots.js";
import type { MemoryContext } from "../memory/state.js";
import { packStruct } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import { composePass, kindsOf, passAccesses } from "./compose.js";
import { type Layout, layArrays, layOut } from "./layout.js";
import { WholeStep } from "./step.js";

/** Tensors whose memory can be bound at once. */
interface Batch {
  /** Of each kind of memory that is laid out like the parameters: what of it is bound. */
  readonly windows: readonly GPUBufferBinding[];
  readonly kept: GPUBuffer;
  /** `Tensor` of each, as the rule's shader has it. */
  readonly table: GPUBuffer;
}

/** Where a tensor is. */
interface Place {
  readonly batch: Batch;
  /** Among the tensors of its batch. */
  readonly index: number;
  /** Of its own, in `kept`. */
  readonly offset: number;
  readonly layout: Layout;
}

/** What a pass encodes. */
interface Dispatch {
  readonly kernel: Kernel;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [x: number, y: number];
}

const PASS = { first: "u32", count: "u32", round: "u32", tensors: "u32", batch: "u32" } as const;

/** The memory of a group's passes over whole tensors, and the passes. */
export class WholeMemory {
  /** Of all arrays that are kept of some tensor. */
  readonly names: readonly string[];
  readonly #context: MemoryContext;
  readonly #row: RuleRow;
  readonly #passes: readonly WholePass[];
  /** By the number of the output. */
  readonly #outputs: readonly (readonly WholePass[])[];
  readonly #kernels = new Map<string, Kernel>();
  readonly #places: ReadonlyMap<Tensor, Place>;
  readonly #scratch: GPUBuffer;
  readonly #known = new WeakMap<readonly WholePass[], WeakMap<readonly Tensor[], readonly Dispatch[]>>();
  readonly #constants: Readonly<Record<string, number>>;
  /** What was made for lists of tensors, and is gone with them. */
  readonly #listed: Passing;

  constructor(context: MemoryContext, group: Pick<GroupMemory, "rule" | "sorted" | "range">) {
    const { row, options } = group.rule;
    const whole = row.whole!;
    this.#context = context;
    this.#listed = context.own(new Passing());
    this.#row = row;
    this.#constants = row.constants?.(options) ?? {};
    this.#passes = whole.passes(options);
    // Most outputs go the same way.
    const ways = new Map<string, readonly WholePass[]>();
    this.#outputs = Array.from({ length: whole.outputs?.(options) ?? 0 }, (_, output) => {
      const passes = whole.outputPasses?.(options, output) ?? [];
      return memo(ways, JSON.stringify(passes), () => passes);
    });
    const layouts = group.sorted.map((tensor) => layOut(whole, tensor, options));
    this.names = [...new Set(layouts.flatMap(({ kept }) => Object.keys(kept)))];
    const ranges = kindsOf(whole).map((name) => group.range(name));
    const places = new Map<Tensor, Place>();
    // What all share comes first, and then each batch has its own; where they share nothing, all have the same.
    const shared = layArrays(whole.shared?.(options) ?? {});
    let scratch = Math.max(16, shared.bytes);
    for (const run of cut(context.limits, group.sorted, layouts, ranges[0]!)) {
      const tensors = group.sorted.slice(run.first, run.end);
      const own = layouts.slice(run.first, run.end);
      const start = whole.shared ? scratch / 16 : 0;
      const { batch, offsets, scratchEnd } = this.#makeBatch(tensors, own, ranges, shared.firsts, start);
      scratch = Math.max(scratch, scratchEnd);
      tensors.forEach((tensor, index) => {
        places.set(tensor, { batch, index, offset: offsets[index]!, layout: own[index]! });
      });
    }
    this.#places = places;
    this.#scratch = this.#buffer("scratch", scratch, USAGE.STORAGE);
  }

  #buffer(name: string, size: number, usage: number, { own } = { own: this.#context.own }): GPUBuffer {
    const { device, label } = this.#context;
    // An array is bound with room for one element.
    return own(device.createBuffer({ label: `${label} ${name}`, size: Math.max(size, 16), usage }));
  }

  #makeBatch(
    tensors: readonly Tensor[],
    layouts: readonly Layout[],
    ranges: readonly ((tensor: Tensor) => Range)[],
    shared: Readonly<Record<string, number>>,
    start: number,
  ) {
    const { device, limits } = this.#context;
    const windows = ranges.map((range) => windowOf(tensors, range, limits));
    const fields = this.#row.whole!.shader.structs.Tensor ?? {};
    let keptBytes = 0;
    let vectors = start;
    const offsets: number[] = [];
    const entries = tensors.map((tensor, index) => {
      const { whole, kept, scratch, fields: own, ...sizes } = layouts[index]!;
      const arrays = [
        ...Object.entries(kept).map(([name, { offset }]) => [name, (keptBytes + offset) / 4]),
        ...Object.entries(scratch).map(([name, first]) => [name, vectors + first]),
      ];
      const first = (ranges[0]!(tensor).offset - windows[0]!.offset!) / 4;
      const { rows, columns, count } = whole;
      offsets.push(keptBytes);
      keptBytes += sizes.keptBytes;
      vectors += sizes.scratchBytes / 16;
      return packStruct(fields as never, {
        first,
        rows,
        columns,
        count,
        ...shared,
        ...own,
        ...Object.fromEntries(arrays),
      });
    });
    const usage = USAGE.STORAGE | USAGE.COPY_DST;
    const table = this.#buffer("tensors", entries.length * entries[0]!.byteLength, usage);
    entries.forEach((entry, index) => {
      device.queue.writeBuffer(table, index * entry.byteLength, entry);
    });
    const kept = this.#buffer("kept", keptBytes, usage | USAGE.COPY_SRC);
    return { batch: { windows, kept, table }, offsets, scratchEnd: 16 * vectors };
  }

  /** The step of the group. */
  step(
    context: PlanContext,
    group: GroupMemory,
    accumulation: boolean,
    extension?: StepExtension,
  ): GroupStep {
    return new WholeStep(context, this, group, accumulation, extension);
  }

  /** Where an array lies that is kept of a tensor. */
  array(tensor: Tensor, name: string): BufferRange | undefined {
    const place = this.#places.get(tensor);
    const array = place?.layout.kept[name];
    return array && { buffer: place.batch.kept, offset: place.offset + array.offset, size: array.size };
  }

  /** Works out what passes over tensors encode. */
  plan(tensors: readonly Tensor[]): void {
    this.#of(tensors, this.#passes);
    for (const passes of this.#outputs) this.#of(tensors, passes);
  }

  /** @throws OptimError `invalid-shader` */
  async compile(): Promise<void> {
    await Promise.all([...this.#kernels.values()].map((kernel) => kernel.compile([4])));
  }

  /** Encodes the passes of a step over tensors that share scalars. */
  encode(pass: GPUComputePassEncoder, tensors: readonly Tensor[]): void {
    this.#encode(pass, this.#of(tensors, this.#passes));
  }

  /** Encodes those that take in the gradient of an output. */
  encodeOutput(pass: GPUComputePassEncoder, tensors: readonly Tensor[], output: number): void {
    this.#encode(pass, this.#of(tensors, this.#outputs[output]!));
  }

  #encode(pass: GPUComputePassEncoder, dispatches: readonly Dispatch[]): void {
    for (const { kernel, bindGroup, workgroups } of dispatches) {
      pass.setPipeline(kernel.pipeline(4));
      pass.setBindGroup(1, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
  }

  #of(tensors: readonly Tensor[], passes: readonly WholePass[]): readonly Dispatch[] {
    const known = memo(this.#known, passes, () => new WeakMap<readonly Tensor[], readonly Dispatch[]>());
    return memo(known, tensors, () => {
      const batches = new Map<Batch, Place[]>();
      for (const tensor of tensors) {
        const place = this.#places.get(tensor)!;
        memo(batches, place.batch, (): Place[] => []).push(place);
      }
      const bound = [...batches].map(([batch, places], index) => this.#bind(batch, places, passes, index));
      // One pass of all batches after the other, where they share what one leaves.
      return this.#row.whole!.shared
        ? passes.flatMap((_, pass) => bound.flatMap((dispatches) => dispatches[pass] ?? []))
        : bound.flat().flatMap((dispatch) => dispatch ?? []);
    });
  }

  /** The dispatches of passes over tensors of a batch. Passes with the same works share their list. */
  #bind(
    batch: Batch,
    places: readonly Place[],
    passes: readonly WholePass[],
    number: number,
  ): readonly (Dispatch | undefined)[] {
    const { device, label, limits } = this.#context;
    const lists = new Map<string, { first: number; count: number }>();
    const listed: number[] = [];
    const planned = passes.map((pass) => {
      const counts = places.map(({ layout }) => (pass.together ? 1 : pass.workgroups(layout.whole)));
      const list = memo(lists, counts.join(), () => {
        const first = listed.length / 2;
        counts.forEach((count, index) => {
          for (let work = 0; work < count; work += 1) listed.push(places[index]!.index, work);
        });
        return { first, count: listed.length / 2 - first };
      });
      return { pass, list };
    });
    const usage = USAGE.STORAGE | USAGE.COPY_DST;
    const works = this.#buffer("works", listed.length * 4, usage, this.#listed);
    device.queue.writeBuffer(works, 0, new Uint32Array(listed));
    const uniforms = this.#buffer(
      "passes",
      passes.length * BLOCK,
      USAGE.UNIFORM | USAGE.COPY_DST,
      this.#listed,
    );
    const accesses = passAccesses(kindsOf(this.#row.whole!));
    return planned.map(({ pass, list: { first, count: listed } }, index) => {
      const { round = 0, run, together } = pass;
      const count = together ? pass.workgroups(places[0]!.layout.whole) : listed;
      if (count === 0) return undefined;
      const values = { first, count, round, tensors: places.length, batch: number };
      device.queue.writeBuffer(uniforms, index * BLOCK, packStruct(PASS, values));
      const kernel = memo(this.#kernels, run, () => this.#kernel(pass));
      const most = limits.maxComputeWorkgroupsPerDimension;
      const y = Math.ceil(count / most);
      const bindGroup = bindChunk(device, `${label} ${run}`, accesses, [
        { buffer: uniforms, offset: index * BLOCK, size: 32 },
        { buffer: batch.table },
        { buffer: works },
        ...batch.windows,
        { buffer: batch.kept },
        { buffer: this.#scratch },
      ]);
      return { kernel, bindGroup, workgroups: [Math.ceil(count / y), y] as const };
    });
  }

  #kernel(pass: WholePass): Kernel {
    const row = this.#row;
    return new Kernel(this.#context.device, {
      label: this.#context.label,
      file: `${row.shader.file.replace(".wgsl", "")} ${pass.run}`,
      compose: () => composePass(row, pass),
      storages: passAccesses(kindsOf(row.whole!)),
      constants: this.#constants,
    });
  }
}

/** What of a buffer is bound for tensors that lie one behind the other. */
function windowOf(
  tensors: readonly Tensor[],
  range: (tensor: Tensor) => Range,
  { minStorageBufferOffsetAlignment: alignment }: MemoryContext["limits"],
): Required<GPUBufferBinding> {
  const [first] = tensors;
  const last = tensors.at(-1)!;
  const { buffer, offset } = range(first!);
  const start = offset - (offset % alignment);
  return { buffer, offset: start, size: range(last).offset + last.size - start };
}

/** Cuts a group into batches: what is bound at once lies in one buffer and within the limits. */
function cut(
  limits: MemoryContext["limits"],
  tensors: readonly Tensor[],
  layouts: readonly Layout[],
  range: (tensor: Tensor) => Range,
): readonly { readonly first: number; readonly end: number }[] {
  const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  const batches: { first: number; end: number; kept: number; scratch: number }[] = [];
  tensors.forEach((tensor, index) => {
    const { keptBytes, scratchBytes } = layouts[index]!;
    const batch = batches.at(-1);
    const lead = batch && tensors[batch.first]!;
    const goesOn =
      batch &&
      range(lead!).buffer === range(tensor).buffer &&
      windowOf([lead!, tensor], range, limits).size <= most &&
      batch.kept + keptBytes <= most &&
      batch.scratch + scratchBytes <= most;
    if (batch && goesOn) {
      batch.end = index + 1;
      batch.kept += keptBytes;
      batch.scratch += scratchBytes;
    } else batches.push({ first: index, end: index + 1, kept: keptBytes, scratch: scratchBytes });
  });
  return batches;
}
