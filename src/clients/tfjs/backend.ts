// What is used of tfjs's WebGPU backend: its data by tensor, its pool of buffers, its encoder.
import { engine, getBackend } from "@tensorflow/tfjs-core";
import { OptimError } from "../../index.js";

/** What the backend holds of the data of tensors; clones share one. */
export interface TensorData {
  /** On the CPU, where they are there or were read. */
  values: unknown;
  /** Tensors that share it. */
  refCount: number;
  resource?: GPUBuffer | null;
  /** Whether the buffer is another's, and stays out of the pool. */
  external?: boolean;
}

/** Of tfjs-backend-webgpu 4. */
export interface Backend {
  readonly device: GPUDevice;
  /** Hands out released buffers of the same size and usage again; frees none. */
  readonly bufferManager: {
    acquireBuffer(size: number, usage: number): GPUBuffer;
    releaseBuffer(buffer: GPUBuffer): void;
  };
  /** Moves what lies on another backend. */
  readonly tensorMap: { get(dataId: object): TensorData };
  /** Commands that are not submitted yet. */
  readonly commandEncoder: GPUCommandEncoder | null;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  /** Does nothing for what is there. */
  uploadToGPU(dataId: object): void;
}

const USED = [
  "device",
  "bufferManager",
  "tensorMap",
  "ensureCommandEncoderReady",
  "endComputePassEncoder",
  "submitQueue",
  "uploadToGPU",
] satisfies (keyof Backend)[];

/**
 * The backend of tfjs in force.
 * @param before that it must be
 * @throws OptimError `invalid-argument` where it is not WebGPU's, is not ready or is another than before
 */
export function currentBackend(before?: Backend): Backend {
  const name = getBackend();
  let backend: unknown;
  try {
    backend = name === "webgpu" ? engine().backend : undefined;
  } catch {
    // It is starting.
  }
  if (!backend || (before && backend !== before))
    throw new OptimError("invalid-argument", "tfjs does not run on the backend of this optimizer", {
      expected: before ? "the WebGPU backend that it was made on" : "its WebGPU backend, ready",
      got: backend ? "another WebGPU backend" : name === "webgpu" ? "one that is starting" : `'${name}'`,
      fix: "import '@tensorflow/tfjs-backend-webgpu' and await tf.setBackend('webgpu')",
    });
  if (backend === before) return before as Backend;
  const missing = USED.filter((member) => !(member in (backend as object)));
  if (missing.length > 0)
    throw new OptimError("invalid-argument", "This version of tfjs's WebGPU backend is not known", {
      expected: "@tensorflow/tfjs-backend-webgpu 4",
      got: `one without ${missing.join(", ")}`,
      fix: "install version 4.22",
    });
  return backend as Backend;
}

/** A buffer of the pool, such as tensors have. */
export const acquire = ({ bufferManager }: Backend, bytes: number): GPUBuffer =>
  bufferManager.acquireBuffer(bytes, TENSOR_USAGE);

/** Usage of tensors' buffers: `STORAGE`, `COPY_SRC` and `COPY_DST`, as there may be no WebGPU where this is loaded. */
export const TENSOR_USAGE = 0x80 | 0x4 | 0x8;

/** The encoder of the commands not yet submitted, outside of any pass. */
export function openEncoder(backend: Backend): GPUCommandEncoder {
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  return backend.commandEncoder!;
}

/** The buffer of a tensor, made where its values are on the CPU. */
export function bufferOf(backend: Backend, { dataId }: { readonly dataId: object }): GPUBuffer {
  // Moved first, where it lies on another backend.
  const data = backend.tensorMap.get(dataId);
  backend.uploadToGPU(dataId);
  return data.resource!;
}
