// Past the limits of the device: a plan cut into more dispatches gives the same bits.
import { beforeAll, describe, expect, test } from "vitest";
import { adam, createArena, createOptimizer, nesterovLookahead, type Rule, sgd } from "../../src/index.js";
import { read } from "../support/buffers.js";
import { useDevice, type Watched, watchedDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { gradients } from "../support/numbers.js";
import { bits, destroyTensors, tensor } from "../support/tensors.js";

interface Outcome {
  readonly bits: readonly Uint32Array[];
  readonly dispatches: number;
  readonly slabs: number;
}

/** An arena and loose tensors, aligned, with head and tail, and not congruent, under one rule. */
async function outcome({ device, counts, live }: Watched, rule: Rule, state: string): Promise<Outcome> {
  const arena = createArena(device, [{ a: [300], b: [64], c: [7], d: [500] }]);
  const loose = [
    tensor(device, "aligned", 3000),
    tensor(device, "headed", 1333, { offset: 4 }),
    tensor(device, "odd", 777, { offset: 8, gradientOffset: 4 }),
  ];
  const all = [...arena.groups[0]!, ...loose];
  const optimizer = await createOptimizer(device, {
    rule,
    accumulation: true,
    stepsInFlight: 4,
    parameters: all,
  });
  let dispatches = 0;
  const slabs = [...live].filter(({ label }) => label.includes(` ${state} `)).length;
  for (const step of [1, 2, 3]) {
    optimizer.lookahead();
    for (const micro of step === 2 ? [1, 2] : [1]) {
      all.forEach(({ grad }, index) => {
        device.queue.writeBuffer(
          grad.buffer,
          grad.offset,
          Float32Array.from(gradients(index + 10 * micro, step, grad.size / 4)),
        );
      });
      if (step === 2) optimizer.accumulate({ samples: micro });
    }
    const before = counts.dispatches;
    optimizer.step();
    dispatches = counts.dispatches - before;
  }
  const ranges = all.flatMap(({ name, param }) => [param, optimizer.state(name, state)]);
  const result = { bits: bits(await read(device, ranges)), dispatches, slabs };
  optimizer.destroy();
  arena.destroy();
  destroyTensors(loose);
  return result;
}

const kinds = [
  { rule: adam({ lr: 0.01, weightDecay: 0.1 }), state: "exp_avg_sq" },
  { rule: nesterovLookahead({ lr: 0.01 }), state: "momentum_buffer" },
];
const unlimited = new Map<Rule, Outcome>();

beforeAll(async () => {
  const watched = await watchedDevice();
  for (const { rule, state } of kinds) unlimited.set(rule, await outcome(watched, rule, state));
  watched.device.destroy();
});

const lowered = {
  maxStorageBufferBindingSize: 512,
  maxComputeWorkgroupsPerDimension: 1,
  maxBufferSize: 12288,
};
const combinations = Array.from({ length: 7 }, (_, index) =>
  Object.fromEntries(Object.entries(lowered).filter((_, bit) => ((index + 1) >> bit) & 1)),
) as readonly Partial<typeof lowered>[];

describe.each(combinations.map((limits) => ({ limits, name: Object.keys(limits).join(", ") })))(
  "lowered $name",
  ({ limits }) => {
    const watched = useDevice(limits);
    test.each(kinds)("$rule.row.name gives the same bits", async ({ rule, state }) => {
      const free = unlimited.get(rule)!;
      const cut = await outcome(watched(), rule, state);
      expect(cut.bits).toEqual(free.bits);
      // The limits were reached: by bindings of 512 bytes and grids of 1 or 4 KiB, and by slabs of 12 KiB.
      if (limits.maxStorageBufferBindingSize) expect(cut.dispatches).toBeGreaterThan(40);
      else if (limits.maxComputeWorkgroupsPerDimension)
        expect(cut.dispatches).toBeGreaterThan(free.dispatches);
      else expect(cut.dispatches).toBe(free.dispatches);
      expect(free.slabs).toBe(1);
      expect(cut.slabs > 1).toBe(limits.maxBufferSize !== undefined);
    });
  },
);

describe("a tensor of more than 65 535 × 256 elements", () => {
  const watched = useDevice();
  const LENGTH = 65_535 * 256 + 70_001;

  test.each([
    { name: "vec4, and a tail", offset: 0, gradientOffset: 0, dispatches: 2 },
    {
      name: "scalar, because parameter and gradient are not congruent",
      offset: 4,
      gradientOffset: 0,
      dispatches: 2,
    },
  ])("$name", async ({ offset, gradientOffset, dispatches }) => {
    const { device, counts } = watched();
    const size = LENGTH * 4;
    const make = (label: string) =>
      device.createBuffer({
        label,
        size: size + 8,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
      });
    const [parameters, gradient] = [make("parameters"), make("gradients")];
    const grid = 65_535 * 256;
    const places = [0, 1, 255, 256, 70_000, grid - 1, grid, grid + 1, LENGTH - 2, LENGTH - 1];
    places.forEach((place, index) => {
      device.queue.writeBuffer(gradient, gradientOffset + 4 * place, new Float32Array([index + 1]));
    });
    // Canaries around the range.
    const last = offset + size;
    device.queue.writeBuffer(parameters, last, new Float32Array([99]));
    if (offset > 0) device.queue.writeBuffer(parameters, 0, new Float32Array([99]));
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 0.5 }),
      parameters: [
        {
          name: "x",
          param: { buffer: parameters, offset, size },
          grad: { buffer: gradient, offset: gradientOffset, size },
        },
      ],
    });
    const before = counts.dispatches;
    optimizer.step();
    expect(counts.dispatches - before).toBe(dispatches);
    const at = (place: number) => ({ buffer: parameters, offset: offset + 4 * place, size: 4 });
    const values = (await read(device, places.map(at))).map(([value]) => value);
    expect(values).toEqual(places.map((_, index) => -0.5 * (index + 1)));
    // Between the places nothing moved.
    const rest = await read(device, [
      { ...at(2), size: 4 * 253 },
      { ...at(grid + 2), size: 4 * 1000 },
      at(LENGTH),
    ]);
    expect(rest[0]!.every((value) => value === 0)).toBe(true);
    expect(rest[1]!.every((value) => value === 0)).toBe(true);
    expect(rest[2]![0]).toBe(99);
    if (offset > 0) expect((await read(device, [at(-1)]))[0]![0]).toBe(99);
    optimizer.destroy();
    parameters.destroy();
    gradient.destroy();
  });
});

describe("what cannot be cut is refused", () => {
  const watched = useDevice({ maxStorageBuffersPerShaderStage: 3, maxBufferSize: 4096 });

  test("too many storage buffers", async () => {
    const { device, live } = watched();
    const tensors = [tensor(device, "x", 8)];
    const before = live.size;
    await expectError(
      () => createOptimizer(device, { rule: adam(), stepsInFlight: 1, parameters: tensors }),
      "limit-exceeded",
      "expected at most 3 (maxStorageBuffersPerShaderStage), got 4",
    );
    expect(live.size).toBe(before);
    destroyTensors(tensors);
  });

  test("more slots than a buffer holds", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    await expectError(
      () => createOptimizer(device, { rule: sgd(), stepsInFlight: 9, parameters: tensors }),
      "limit-exceeded",
      "stepsInFlight",
    );
    const optimizer = await createOptimizer(device, { rule: sgd(), stepsInFlight: 8, parameters: tensors });
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("an arena larger than a buffer", async () => {
    const { device } = watched();
    await expectError(
      () => createArena(device, [{ a: [1024], b: [1] }]),
      "limit-exceeded",
      "expected at most 4096 bytes (maxBufferSize), got 4352 bytes",
    );
    createArena(device, [{ a: [512], b: [512] }]).destroy();
  });
});
