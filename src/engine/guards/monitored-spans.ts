import { OptimError } from "../../errors.js";
import type { Kernel } from "../kernels/compile.js";
import { chunkLayout } from "../kernels/pipelines.js";
import { bindChunk, type ChunkUniforms } from "../kernels/plan.js";
import type { Range, Tensor } from "../memory/parameters.js";
import { type PlanLimits, type Span, type Width, WORKGROUP } from "../memory/spans.js";
import { type ItemTable, walkChunks } from "./item-table.js";
import { ASCEND, MEASURE, stepStorages } from "./monitor-kernels.js";

/** The measure and the step of one chunk. */
export interface MonitoredDispatch {
  readonly width: Width;
  readonly workgroups: number;
  readonly measure: GPUBindGroup;
  readonly step: GPUBindGroup;
}

/** The ascent of one chunk. */
export type AscentDispatch = Omit<MonitoredDispatch, "measure">;

/** What every pass of a monitor binds from. */
export interface MonitorContext {
  readonly device: GPUDevice;
  readonly label: string;
  readonly limits: PlanLimits;
  readonly uniforms: ChunkUniforms;
  readonly control: GPUBuffer;
  readonly sums: GPUBuffer;
  /** Of `engine_Chunk`. */
  readonly ruleSums: readonly [settled: number, measured: number];
}

/**
 * Measures and steps of a span, one a chunk.
 * @throws OptimError `invalid-buffer` for a chunk that has no items
 */
export function bindMonitored(
  { device, label, limits, uniforms, control, sums, ruleSums }: MonitorContext,
  table: ItemTable,
  items: GPUBuffer,
  others: readonly ((tensor: Tensor) => Range)[],
  span: Span,
  gradient: Range,
): readonly MonitoredDispatch[] {
  const [tensor] = span.tensors;
  const bind = (name: string, storages: readonly GPUBufferBindingType[], resources: GPUBufferBinding[]) =>
    device.createBindGroup({
      label: `${label} ${name} ${tensor.name}`,
      layout: chunkLayout(device, storages),
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  return walkChunks(span, { tensors: span.tensors, gradient: () => gradient }, limits).map((chunk) => {
    const place = table.place(span, chunk);
    if (!place)
      throw new OptimError("invalid-buffer", `The gradient of '${tensor.name}' is laid out anew`, {
        expected: "with guards or telemetry, offsets modulo 16 and neighbours as at creation",
        got: `offset ${gradient.offset}`,
        fix: "keep the layout of the gradients, or create a new optimizer",
      });
    const written = bindChunk(tensor.param, chunk, limits);
    const read = bindChunk(gradient, chunk, limits);
    const uniform = uniforms.binding(written.first, read.first, place.count, place.item, ruleSums);
    const tail = [{ buffer: items }, { buffer: sums }];
    return {
      width: chunk.width,
      workgroups: Math.min(place.count, limits.maxComputeWorkgroupsPerDimension),
      measure: bind("measure", MEASURE, [uniform, read.binding, { buffer: control }, ...tail]),
      step: bind("step", stepStorages(others.length), [
        uniform,
        written.binding,
        read.binding,
        ...others.map((range) => bindChunk(range(tensor), chunk, limits).binding),
        ...tail,
      ]),
    };
  });
}

/** Ascents of a span, one a chunk. */
export function bindAscent(
  { device, label, limits, uniforms, control }: MonitorContext,
  origin: (tensor: Tensor) => Range,
  span: Span,
  gradient: Range,
): readonly AscentDispatch[] {
  const [tensor] = span.tensors;
  return walkChunks(span, { tensors: span.tensors, gradient: () => gradient }, limits).map((chunk) => {
    const written = bindChunk(tensor.param, chunk, limits);
    const read = bindChunk(gradient, chunk, limits);
    const lanes = chunk.size / (4 * chunk.width);
    const resources = [
      uniforms.binding(written.first, read.first, lanes),
      written.binding,
      read.binding,
      bindChunk(origin(tensor), chunk, limits).binding,
      { buffer: control },
    ];
    return {
      width: chunk.width,
      workgroups: Math.ceil(lanes / WORKGROUP),
      step: device.createBindGroup({
        label: `${label} ascent ${tensor.name}`,
        layout: chunkLayout(device, ASCEND),
        entries: resources.map((resource, binding) => ({ binding, resource })),
      }),
    };
  });
}

/** Encodes one bind group of each dispatch. */
export function encodeAll<W extends "measure" | "step">(
  pass: GPUComputePassEncoder,
  kernel: Kernel,
  dispatches: readonly ({ readonly width: Width; readonly workgroups: number } & Readonly<
    Record<W, GPUBindGroup>
  >)[],
  which: W,
): void {
  let current = 0;
  for (const dispatch of dispatches) {
    if (dispatch.width !== current) {
      pass.setPipeline(kernel[dispatch.width]);
      current = dispatch.width;
    }
    pass.setBindGroup(1, dispatch[which]);
    pass.dispatchWorkgroups(dispatch.workgroups);
  }
}
