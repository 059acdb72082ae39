// Compensation beside everything else: files, groups that change, layouts, limits.
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/checkpoint/read.js";
import { writeSafetensors } from "../../src/checkpoint/write.js";
import {
  adam,
  adamw,
  createArena,
  createOptimizer,
  momentum,
  type Optimizer,
  type OptimizerOptions,
  partition,
  sgd,
} from "../../src/index.js";
import { read, write } from "../support/buffers.js";
import { useDevice, type Watched } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { bits } from "../support/judge.js";
import { gradients, normals } from "../support/numbers.js";
import { destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

type Options = Omit<OptimizerOptions, "groups" | "parameters">;

/** Large parameters, so that steps are below half an ulp. */
const large = (index: number, length: number) => normals(index, length).map((value) => 1e4 * (2 + value));

const fill = (device: GPUDevice, tensors: readonly TestTensor[]) =>
  tensors.forEach(({ param }, index) => {
    write(device, param, large(index, param.size / 4));
  });

function step(
  device: GPUDevice,
  optimizer: Optimizer,
  tensors: readonly TestTensor[],
  from: number,
  to: number,
) {
  for (let t = from; t <= to; t += 1) {
    tensors.forEach(({ grad }, index) => {
      write(device, grad, gradients(20 + index, t, grad.size / 4));
    });
    optimizer.step();
  }
}

/** Parameters and states of all tensors, by their bits. */
const bitsOf = async (
  device: GPUDevice,
  optimizer: Optimizer,
  tensors: readonly TestTensor[],
  states: readonly string[],
) =>
  (
    await read(
      device,
      tensors.flatMap(({ name, param }) => [param, ...states.map((state) => optimizer.state(name, state))]),
    )
  ).map(bits);

/** Two tensors, the second at an odd offset. */
async function make(options: Options) {
  const { device } = watched();
  const tensors = [tensor(device, "a", 21), tensor(device, "b", 5, { offset: 12 })];
  fill(device, tensors);
  const optimizer = await createOptimizer(device, { ...options, parameters: tensors });
  return {
    optimizer,
    step: (from: number, to: number) => step(device, optimizer, tensors, from, to),
    bits: (...states: readonly string[]) => bitsOf(device, optimizer, tensors, states),
    tensors,
    end() {
      optimizer.destroy();
      destroyTensors(tensors);
    },
  };
}

describe("files", () => {
  const rule = adam({ lr: 1e-4 });
  const kept = [
    "compensation",
    "slow_weights",
    "slow_weights_compensation",
    "average",
    "average_compensation",
  ];
  const copies: Options = { average: { decay: 0.999 }, slowWeights: { every: 3 } };

  test.each([
    ["plain", {}],
    ["with guards", { guards: { clipGlobalNorm: 50 } }],
  ])("go on with the same bits, %s", async (_, extra) => {
    const options: Options = { rule, compensated: true, ...copies, ...extra };
    const whole = await make(options);
    whole.step(1, 10);
    const file = await whole.optimizer.save();
    expect([...readSafetensors(file).tensors.keys()].filter((name) => name.startsWith("b."))).toEqual(
      ["exp_avg", "exp_avg_sq", ...kept].map((state) => `b.${state}`).sort(),
    );
    whole.step(11, 40);
    const expected = await whole.bits("exp_avg", ...kept);
    whole.end();
    const resumed = await make(options);
    resumed.step(1, 3);
    await resumed.optimizer.load(file);
    resumed.step(11, 40);
    expect(await resumed.bits("exp_avg", ...kept)).toEqual(expected);
    resumed.end();
  });

  test("without compensations, as older ones and those of plain groups, load as zeros", async () => {
    const plain = await make({ rule, ...copies });
    plain.step(1, 10);
    const { metadata, tensors } = readSafetensors(await plain.optimizer.save());
    const older = writeSafetensors(
      [...tensors]
        .filter(([name]) => !name.endsWith("compensation"))
        .map(([name, entry]) => ({ name, ...entry })),
      metadata,
    );
    const expected = await plain.bits("exp_avg", "average", "slow_weights");
    plain.end();
    const into = await make({ rule, compensated: true, ...copies });
    into.step(1, 20);
    await into.optimizer.load(older);
    expect(await into.bits("exp_avg", "average", "slow_weights")).toEqual(expected);
    const states = kept.filter((state) => state.endsWith("compensation"));
    const residuals = await read(
      watched().device,
      into.tensors.flatMap(({ name }) => states.map((state) => into.optimizer.state(name, state))),
    );
    expect(residuals.flatMap((values) => [...values]).every((value) => value === 0)).toBe(true);
    into.end();
  });

  test("of compensated groups do not load into plain ones", async () => {
    const whole = await make({ rule, compensated: true });
    whole.step(1, 2);
    const file = await whole.optimizer.save();
    whole.end();
    const plain = await make({ rule });
    const before = await plain.bits("exp_avg");
    await expectError(() => plain.optimizer.load(file), "invalid-checkpoint", "a.compensation");
    expect(await plain.bits("exp_avg")).toEqual(before);
    plain.end();
  });

  test("in PyTorch's terms hold what PyTorch has", async () => {
    const whole = await make({ rule: adamw({ lr: 1e-4 }), compensated: true });
    whole.step(1, 10);
    const file = await whole.optimizer.save({ format: "pytorch" });
    expect([...readSafetensors(file).tensors.keys()]).toEqual(
      ["a", "b"].flatMap((name) => [name, `${name}.exp_avg`, `${name}.exp_avg_sq`]),
    );
    const expected = await whole.bits("exp_avg");
    whole.step(11, 12);
    await whole.optimizer.load(file);
    expect(await whole.bits("exp_avg")).toEqual(expected);
    whole.end();
  });
});

describe("groups", () => {
  test("each has its own say, and those that join or are frozen keep theirs", async () => {
    const { device } = watched();
    const tensors = ["a", "b", "c", "d"].map((name, index) => tensor(device, name, 9 + index));
    fill(device, tensors);
    const [a, b, c, d] = tensors as [TestTensor, TestTensor, TestTensor, TestTensor];
    const optimizer = await createOptimizer(device, {
      rule: momentum({ lr: 1e-5 }),
      compensated: true,
      groups: partition([a, b], [{ match: /a/ }, { compensated: false }]),
    });
    await expectError(() => optimizer.state("b", "compensation"), "unknown-name");
    step(device, optimizer, tensors, 1, 5);
    await optimizer.freeze("a");
    const frozen = await bitsOf(device, optimizer, [a], ["compensation", "momentum_buffer"]);
    step(device, optimizer, tensors, 6, 9);
    await optimizer.addGroup({ parameters: [c] });
    await optimizer.addGroup({ parameters: [d], compensated: false });
    await expectError(() => optimizer.state("d", "compensation"), "unknown-name");
    step(device, optimizer, tensors, 10, 12);
    expect(await bitsOf(device, optimizer, [a], ["compensation", "momentum_buffer"])).toEqual(frozen);
    await optimizer.thaw("a");
    step(device, optimizer, tensors, 13, 15);
    const result = await bitsOf(device, optimizer, [a, c], ["compensation", "momentum_buffer"]);
    optimizer.destroy();

    // Each by itself, over the steps that it took part in.
    fill(device, tensors);
    const alone = await createOptimizer(device, {
      rule: momentum({ lr: 1e-5 }),
      groups: [
        { parameters: [a], compensated: true },
        { parameters: [b, c, d], compensated: false },
      ],
    });
    step(device, alone, tensors, 1, 5);
    step(device, alone, tensors, 13, 15);
    expect(result.slice(0, 3)).toEqual(await bitsOf(device, alone, [a], ["compensation", "momentum_buffer"]));
    alone.destroy();
    destroyTensors(tensors);
  });

  test("one that was not compensated at all may be joined by one that is", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "a", 6), tensor(device, "b", 7)];
    const optimizer = await createOptimizer(device, { rule: sgd(), parameters: tensors.slice(0, 1) });
    await optimizer.addGroup({ parameters: tensors.slice(1), compensated: true });
    fill(device, tensors);
    step(device, optimizer, tensors, 1, 3);
    expect(optimizer.state("b", "compensation").size).toBe(28);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test.each([0, 1, "yes", {}])("%o is no answer", async (compensated) => {
    const { device } = watched();
    const parameters = [tensor(device, "a", 6)];
    const wrong = { compensated } as object;
    const optimizer = await createOptimizer(device, { rule: sgd(), parameters });
    for (const create of [
      () => createOptimizer(device, { rule: sgd(), parameters, ...wrong }),
      () => createOptimizer(device, { rule: sgd(), groups: [{ parameters, ...wrong }] }),
      () => optimizer.addGroup({ parameters: [], ...wrong }),
    ])
      await expectError(create, "invalid-option", "expected true or false");
    optimizer.destroy();
    destroyTensors(parameters);
  });
});

describe("layouts", () => {
  const lengths = [1, 3, 4, 5, 64, 255, 256, 257, 1500];
  const cut = useDevice({
    maxStorageBufferBindingSize: 2048,
    maxComputeWorkgroupsPerDimension: 1,
    maxBufferSize: 16384,
  });

  /** The tensors over an arena or in buffers of their own, some at places that are not congruent. */
  async function run({ device, counts }: Watched, where: "arena" | "loose", compensated: boolean) {
    const shapes = Object.fromEntries(lengths.map((length, i) => [`t${i}`, [length]]));
    const arena = where === "arena" ? createArena(device, [shapes]) : undefined;
    const tensors: readonly TestTensor[] =
      arena?.groups[0] ??
      lengths.map((length, i) =>
        tensor(device, `t${i}`, length, { offset: 4 * (i % 4), gradientOffset: 4 * (i % 3) }),
      );
    fill(device, tensors);
    const optimizer = await createOptimizer(device, {
      rule: adam({ lr: 1e-4 }),
      compensated,
      average: { decay: 0.99 },
      accumulation: true,
      stepsInFlight: 4,
      parameters: tensors,
    });
    step(device, optimizer, tensors, 1, 2);
    optimizer.accumulate();
    optimizer.accumulate({ samples: 3 });
    const before = counts.dispatches;
    step(device, optimizer, tensors, 3, 4);
    const dispatches = counts.dispatches - before;
    const states = ["average", "average_compensation", ...(compensated ? ["compensation"] : [])];
    const values = await bitsOf(device, optimizer, tensors, states);
    optimizer.destroy();
    arena?.destroy();
    if (!arena) destroyTensors(tensors);
    return { values, dispatches };
  }

  test("an arena, loose buffers and chunks give the same bits, in as many dispatches as without", async () => {
    const [arena, loose, chunks] = [
      await run(watched(), "arena", true),
      await run(watched(), "loose", true),
      await run(cut(), "loose", true),
    ];
    expect(loose.values).toEqual(arena.values);
    expect(chunks.values).toEqual(arena.values);
    expect(chunks.dispatches).toBeGreaterThan(loose.dispatches);
    for (const where of ["arena", "loose"] as const)
      expect((await run(watched(), where, false)).dispatches).toBe({ arena, loose }[where].dispatches);
  });
});

describe("limits", () => {
  const few = useDevice({ maxStorageBuffersPerShaderStage: 4 });

  test("the buffer that it binds is counted", async () => {
    const { device } = few();
    const tensors = [tensor(device, "a", 6)];
    const create = (compensated: boolean) =>
      createOptimizer(device, { rule: adam(), compensated, parameters: tensors });
    (await create(false)).destroy();
    await expectError(() => create(true), "limit-exceeded", "expected at most 4");
    destroyTensors(tensors);
  });
});
