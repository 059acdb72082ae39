// Memory that runs out at any buffer the engine makes.
import { expect, test } from "vitest";
import { adagrad, createOptimizer, nesterovLookahead, type Optimizer } from "../../src/index.js";
import { read, whole } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

// Two buffers of each state, whose tensors do not fit one.
const watched = useDevice({ maxBufferSize: 16384 });

/** Two groups with states that begin mapped (adagrad) and not, origin, accumulator, guards and telemetry. */
const create = (device: GPUDevice, tensors: readonly TestTensor[]): Promise<Optimizer> =>
  createOptimizer(device, {
    accumulation: true,
    stepsInFlight: 4,
    guards: { clipGlobalNorm: 1, skipsInFlight: 2 },
    telemetry: { perTensor: true },
    groups: [
      { rule: adagrad({ initialAccumulatorValue: 0.1 }), parameters: tensors.slice(0, 2) },
      { rule: nesterovLookahead(), parameters: tensors.slice(2) },
    ],
  });

type Create = GPUDevice["createBuffer"];

/** How one call fails. */
const failures: readonly {
  how: string;
  fail: (real: Create, descriptor: GPUBufferDescriptor) => GPUBuffer;
  code: "out-of-memory" | "gpu-error";
  /** Told by popErrorScope, as a real one is. */
  reported?: boolean;
}[] = [
  {
    how: "throws a RangeError",
    fail: () => {
      throw new RangeError("createBuffer failed, size is too large for the implementation");
    },
    code: "out-of-memory",
  },
  {
    how: "gives an invalid buffer, reported as out of memory",
    // A buffer that WebGPU itself made invalid, as it does where memory is short. Memory cannot be made short here, so
    // its report is moved from the validation scope to that of out-of-memory.
    fail: (real, descriptor) => real({ ...descriptor, size: 2 ** 50 }),
    code: "out-of-memory",
    reported: true,
  },
  {
    how: "gives an invalid buffer that is not mapped",
    fail: (real, descriptor) => real({ ...descriptor, mappedAtCreation: false, size: 2 ** 50 }),
    code: "gpu-error",
  },
];

test.each(failures)("createBuffer $how, at every call", async ({ fail, code, reported = false }) => {
  const { device, live, errors } = watched();
  const tensors = [
    tensor(device, "a", 3000),
    tensor(device, "b", 2001, { offset: 4 }),
    tensor(device, "c", 2500),
    tensor(device, "d", 2001),
  ];
  const ranges = tensors.flatMap(({ param, grad }) => [whole(param.buffer), whole(grad.buffer)]);
  const before = bits(await read(device, ranges));
  const own = Object.getOwnPropertyDescriptor(device, "createBuffer")!;
  const push = device.pushErrorScope.bind(device);
  const pop = device.popErrorScope.bind(device);
  const real = device.createBuffer.bind(device);
  let made: string[] = [];
  let failing = -1;
  let mapped = 0;
  Object.defineProperty(device, "createBuffer", {
    ...own,
    value: (descriptor: GPUBufferDescriptor) => {
      const index = made.push(descriptor.label ?? "") - 1;
      if (descriptor.mappedAtCreation) mapped += 1;
      return index === failing ? fail(real, descriptor) : real(descriptor);
    },
  });
  if (reported) {
    const scopes: GPUErrorFilter[] = [];
    let inner: Promise<GPUError | null> = Promise.resolve(null);
    const outer = async (popped: Promise<GPUError | null>, within: Promise<GPUError | null>) => {
      const error = (await popped) ?? (await within);
      return error && new GPUOutOfMemoryError(error.message);
    };
    Object.defineProperties(device, {
      pushErrorScope: {
        configurable: true,
        value: (filter: GPUErrorFilter) => {
          scopes.push(filter);
          push(filter);
        },
      },
      popErrorScope: {
        configurable: true,
        value: async () => {
          if (scopes.pop() === "out-of-memory") return outer(pop(), inner);
          inner = pop();
          return null;
        },
      },
    });
  }
  try {
    const alive = live.size;
    (await create(device, tensors)).destroy();
    expect(live.size).toBe(alive);
    const labels = made;
    expect(labels.every((label) => label)).toBe(true);
    // Of everything the options ask for.
    for (const part of ["uniforms", "sum 1", "lookahead_origin", "gradient_accumulator", "chunks", "control"])
      expect(labels.join("\n")).toContain(part);
    for (const part of ["history", "partial sums", "rows", "values", "pieces", "report 2"])
      expect(labels.join("\n")).toContain(part);
    expect(mapped).toBeGreaterThanOrEqual(2);
    for (failing = 0; failing < labels.length; failing += 1) {
      made = [];
      await expectError(() => create(device, tensors), code);
      const left = [...live].slice(alive).map(({ label }) => label);
      expect(left, `alive after '${labels[failing]}' failed`).toEqual([]);
      expect(made.length, labels[failing]).toBeGreaterThan(failing);
    }
  } finally {
    Object.defineProperty(device, "createBuffer", own);
    for (const method of ["pushErrorScope", "popErrorScope"]) Reflect.deleteProperty(device, method);
  }
  expect(errors).toEqual([]);
  expect(bits(await read(device, ranges))).toEqual(before);
  // And the device is as good as before.
  const optimizer = await create(device, tensors);
  optimizer.lookahead();
  optimizer.step();
  await optimizer.settled();
  expect(bits(await read(device, ranges))).not.toEqual(before);
  optimizer.destroy();
  destroyTensors(tensors);
});
