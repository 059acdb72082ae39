// A device that is gone, a device that was never there, and memory that runs out.
import { describe, expect, test, vi } from "vitest";
import {
  adagrad,
  adam,
  createArena,
  createOptimizer,
  nesterovLookahead,
  requestDevice,
} from "../../src/index.js";
import { upload } from "../support/buffers.js";
import { callNames, calls } from "../support/calls.js";
import { useDevice, watchedDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { long } from "../support/long.js";
import { destroyTensors, tensor } from "../support/tensors.js";

const watched = useDevice();

/** An optimizer that has what its calls may ask for, and an encoder for them. */
async function withAll(device: GPUDevice) {
  const parameters = [tensor(device, "x", 8)];
  const optimizer = await createOptimizer(device, {
    rule: adam(),
    accumulation: true,
    guards: {},
    telemetry: {},
    parameters,
  });
  return { tensors: parameters, optimizer, encoder: device.createCommandEncoder() };
}

test("the list of calls holds every method of the optimizer", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 8)];
  const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors });
  expect(calls.map(([name]) => name).sort()).toEqual([...callNames(optimizer)].sort());
  optimizer.destroy();
  destroyTensors(tensors);
});

describe("a lost device", () => {
  test("is refused at creation, before anything is made", async () => {
    const { device, counts, live } = await watchedDevice();
    const tensors = [tensor(device, "x", 8)];
    device.destroy();
    await device.lost;
    const [before, alive] = [{ ...counts }, live.size];
    const error = await expectError(
      () => createOptimizer(device, { rule: adam(), parameters: tensors }),
      "device-lost",
      "reason 'destroyed'",
    );
    expect(error.message).toContain("'adam'");
    expect(counts).toEqual(before);
    expect(live.size).toBe(alive);
  });

  test("during creation gives the same error and leaves nothing alive", async () => {
    const { device, live } = await watchedDevice();
    const tensors = [tensor(device, "x", 8)];
    const alive = live.size;
    const creation = createOptimizer(device, { rule: adam(), parameters: tensors });
    device.destroy();
    await expectError(() => creation, "device-lost");
    expect(live.size).toBe(alive);
  });

  // Half of the calls, which all ask one question first; with `test --long` all.
  test.each(calls.filter((_, index) => long || index % 2 === 0))(
    "makes %s throw at once",
    async (_name, call) => {
      const { device, counts } = await watchedDevice();
      const { optimizer, encoder } = await withAll(device);
      optimizer.step();
      device.destroy();
      await device.lost;
      const before = { ...counts };
      await expectError(() => call(optimizer, encoder), "device-lost", "request a new device");
      expect(counts).toEqual(before);
      expect(optimizer.groups[0]!.steps).toBe(1);
      optimizer.destroy();
      optimizer.destroy();
    },
  );
});

test.each(calls)("%s throws after destroy", async (_name, call) => {
  const { device, counts } = watched();
  const { tensors, optimizer, encoder } = await withAll(device);
  optimizer.destroy();
  optimizer.destroy();
  const before = { ...counts };
  let code: unknown;
  try {
    await call(optimizer, encoder);
  } catch (error) {
    code = (error as { code?: unknown }).code;
  }
  expect(code).toBe("destroyed");
  expect(counts).toEqual(before);
  destroyTensors(tensors);
});

describe("no device", () => {
  test("no adapter", async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await expectError(() => requestDevice({ gpu }), "no-adapter", "got null");
  });

  test("no navigator.gpu", async () => {
    for (const navigator of [{}, undefined]) {
      vi.stubGlobal("navigator", navigator);
      try {
        await expect(requestDevice()).rejects.toMatchObject({
          name: "OptimError",
          code: "no-adapter",
          message: expect.stringContaining("expected navigator.gpu"),
        });
      } finally {
        vi.unstubAllGlobals();
      }
    }
  });

  test.each([undefined, null, {}, "gpu"])("%s is no device", async (device) => {
    await expectError(
      () => createOptimizer(device as unknown as GPUDevice, { rule: adam(), parameters: [] }),
      "invalid-argument",
      "expected a GPUDevice",
    );
  });
});

describe("buffers that cannot be used", () => {
  const roles = ["param", "grad"] as const;

  test.each(roles)("a destroyed %s", async (role) => {
    const { device, live } = watched();
    const tensors = [tensor(device, "x", 8)];
    tensors[0]![role].buffer.destroy();
    const alive = live.size;
    await expectError(
      () => createOptimizer(device, { rule: adam(), parameters: tensors }),
      "gpu-error",
      "alive",
    );
    expect(live.size).toBe(alive);
    destroyTensors(tensors);
  });

  test.each(roles)("a %s of another device", async (role) => {
    const { device, live } = watched();
    const other = await watchedDevice();
    const own = tensor(device, "x", 8);
    const foreign = tensor(other.device, "x", 8);
    const alive = live.size;
    await expectError(
      () => createOptimizer(device, { rule: adam(), parameters: [{ ...own, [role]: foreign[role] }] }),
      "gpu-error",
    );
    expect(live.size).toBe(alive);
    expect(other.errors).toEqual([]);
    destroyTensors([own]);
    other.device.destroy();
  });

  test("a parameter that is still mapped", async () => {
    const { device } = watched();
    const mapped = device.createBuffer({ size: 32, usage: GPUBufferUsage.STORAGE, mappedAtCreation: true });
    const grad = upload(device, new Float32Array(8));
    await expectError(
      () => createOptimizer(device, { rule: adam(), parameters: [{ name: "x", param: mapped, grad }] }),
      "gpu-error",
      "unmapped",
    );
    mapped.destroy();
    grad.buffer.destroy();
  });
});

describe("memory that runs out", () => {
  type Create = GPUDevice["createBuffer"];

  /** Replaces the method while `run` runs. */
  async function replacing<K extends "createBuffer" | "popErrorScope">(
    device: GPUDevice,
    method: K,
    value: GPUDevice[K],
    run: () => Promise<unknown>,
  ): Promise<void> {
    const original = Object.getOwnPropertyDescriptor(device, method);
    Object.defineProperty(device, method, { configurable: true, value });
    try {
      await run();
    } finally {
      if (original) Object.defineProperty(device, method, original);
      else Reflect.deleteProperty(device, method);
    }
  }

  /** Two slabs of everything: states that begin at zero and not, origin, accumulator, uniforms. */
  const create = async (device: GPUDevice) => {
    const tensors = [tensor(device, "x", 9, { offset: 4 }), tensor(device, "y", 40)];
    const before = watched().live.size;
    const creation = createOptimizer(device, {
      accumulation: true,
      groups: [
        { rule: adagrad({ initialAccumulatorValue: 0.1 }), parameters: [tensors[0]!] },
        { rule: nesterovLookahead(), parameters: [tensors[1]!] },
      ],
    });
    return {
      creation,
      check() {
        expect(watched().live.size, "buffers of the engine left alive").toBe(before);
        destroyTensors(tensors);
      },
    };
  };

  test.each([
    {
      how: "throws a RangeError",
      fail: (): GPUBuffer => {
        throw new RangeError("createBuffer failed, size is too large for the implementation");
      },
      code: "out-of-memory",
    },
    {
      how: "gives an invalid buffer",
      fail: (create: Create, descriptor: GPUBufferDescriptor) =>
        create({ ...descriptor, mappedAtCreation: false, size: 2 ** 50 }),
      // Reported as a validation error: the size is past maxBufferSize.
      code: "gpu-error",
    },
  ] as const)("createBuffer $how at any call", async ({ fail, code }) => {
    const { device, counts } = watched();
    // How many buffers there are to fail at.
    const made = counts.buffers;
    const whole = await create(device);
    (await whole.creation).destroy();
    const total = counts.buffers - made - 4;
    whole.check();
    expect(total).toBeGreaterThanOrEqual(6);

    const real = device.createBuffer.bind(device);
    for (let failing = 0; failing < total; failing += 1) {
      let call = -4; // The caller's own.
      const replacement = ((descriptor: GPUBufferDescriptor) => {
        const buffer = call === failing ? fail(real, descriptor) : real(descriptor);
        call += 1;
        return buffer;
      }) as Create;
      await replacing(device, "createBuffer", replacement, async () => {
        const { creation, check } = await create(device);
        // A mapped range of a wrong buffer cannot be had, which counts as the same failure.
        await expectError(() => creation, code);
        check();
      });
    }
  });

  test("an out-of-memory error of the device is named", async () => {
    const { device } = watched();
    const scopes: GPUErrorFilter[] = [];
    const push = device.pushErrorScope.bind(device);
    const pop = device.popErrorScope.bind(device);
    Object.defineProperty(device, "pushErrorScope", {
      configurable: true,
      value: (filter: GPUErrorFilter) => {
        scopes.push(filter);
        push(filter);
      },
    });
    const exhausted = async () => {
      const filter = scopes.pop();
      const error = await pop();
      return filter === "out-of-memory" ? new GPUOutOfMemoryError("no memory left") : error;
    };
    await replacing(device, "popErrorScope", exhausted, async () => {
      const { creation, check } = await create(device);
      await expectError(() => creation, "out-of-memory", "no memory left");
      check();
    });
    Reflect.deleteProperty(device, "pushErrorScope");
    expect(scopes).toEqual([]);
  });
});

test("an arena is freed by its own destroy, once or twice", async () => {
  const { device, live } = watched();
  const arena = createArena(device, [{ a: [3] }]);
  expect(live.size).toBe(2);
  arena.destroy();
  arena.destroy();
  expect(live.size).toBe(0);
});
