// Checkpoints: what is saved is the state as of the last submitted step, and what is loaded goes on with the same bits.
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/checkpoint/read.js";
import { writeSafetensors } from "../../src/checkpoint/write.js";
import {
  adam,
  adamw,
  cosine,
  createArena,
  createOptimizer,
  type GuardOptions,
  momentum,
  nadam,
  nesterovLookahead,
  type Optimizer,
  type OptimizerOptions,
  onPlateau,
  type Rule,
  sgd,
  warmup,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice, type Watched, watchedDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { long } from "../support/long.js";
import { gradients, normals } from "../support/numbers.js";
import { shapeless } from "../support/shapeless.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();
const SAVED_AFTER = 4;
const MORE = 50;

type Extra = Partial<Omit<OptimizerOptions, "groups" | "parameters" | "rule">>;

/** Two groups: two tensors of an arena, and a loose one at an odd offset with a rate and a decay of its own. */
async function begin(device: GPUDevice, rule: Rule, extra: Extra = {}) {
  const arena = createArena(device, [{ a: [3, 7], b: [64] }]);
  const loose = tensor(device, "c", 23, { offset: 12 });
  const tensors: readonly TestTensor[] = [...arena.groups[0], loose];
  tensors.forEach(({ param }, index) => {
    write(device, param, normals(index + 1, param.size / 4));
  });
  const optimizer = await createOptimizer(device, {
    rule,
    schedule: warmup(3, cosine({ steps: 60 }), { start: 0.1 }),
    groups: [{ parameters: arena.groups[0] }, { parameters: [loose], lr: 0.02, weightDecay: 0.1 }],
    ...extra,
  });
  const states = rule.row.shader.states;
  return {
    optimizer,
    tensors,
    /** Steps `from` to `to`; with guards, some gradients are not finite. */
    run(from: number, to: number, spoiled: readonly number[] = []) {
      for (let t = from; t <= to; t += 1) {
        optimizer.lookahead();
        tensors.forEach(({ grad }, index) => {
          const values = gradients(index + 1, t, grad.size / 4);
          if (spoiled.includes(t) && index === 1) values[5] = Number.NaN;
          write(device, grad, values);
        });
        optimizer.step();
      }
    },
    /** Bits of parameters and states. */
    async bits() {
      const ranges = tensors.flatMap(({ name, param }) => [
        param,
        ...states.map((state) => optimizer.state(name, state)),
      ]);
      return bits(await read(device, ranges));
    },
    end() {
      optimizer.destroy();
      arena.destroy();
      destroyTensors([loose]);
    },
  };
}

/** Runs on a device of its own, which ends with it. */
async function elsewhere<T>(run: (other: Watched) => Promise<T>): Promise<T> {
  const other = await watchedDevice();
  const result = await run(other);
  await other.device.queue.onSubmittedWorkDone();
  expect(other.errors).toEqual([]);
  expect([...other.live].map(({ label }) => label)).toEqual([]);
  other.device.destroy();
  return result;
}

/** The rate of the last step is the host's guess where the GPU may have skipped some, so it is left out. */
const position = ({ groups }: Optimizer) =>
  groups.map(({ steps, lr, options, schedule }) => ({ steps, lr, options, next: schedule(steps) }));
/** A scale that grows every third step, so that where it stands changes the updates. */
const guards: GuardOptions = { clipGlobalNorm: 50, lossScale: { initial: 4, interval: 3, max: 64 } };

interface Way {
  readonly how: string;
  readonly extra: Extra;
  readonly spoiled: readonly number[];
}
/** Skipped steps before the save, of which the host has not heard; one good step after them. */
const guarded: Way = { how: "with guards", extra: { guards }, spoiled: [2, 3, 20, 21] };
const plain: Way = { how: "without guards", extra: {}, spoiled: [] };

// A quarter of the rules, and an eighth in both ways; `test --long` takes all.
describe.each(
  shapeless
    .map((factory, index) => [factory.row.name, factory, long || index % 8 === 0] as const)
    .filter((_, index) => long || index % 4 === 0),
)("%s", (_, factory, both) => {
  const rule = factory({ weightDecay: 0.01 });

  test.each(both ? [plain, guarded] : [guarded])(
    "goes on with the same bits on a fresh device, $how",
    async ({ extra, spoiled }) => {
      const whole = await begin(watched().device, rule, extra);
      whole.run(1, SAVED_AFTER, spoiled);
      const saving = whole.optimizer.save();
      // Steps after the save are not in the file.
      whole.run(SAVED_AFTER + 1, SAVED_AFTER + MORE, spoiled);
      const file = await saving;
      await whole.optimizer.settled();
      const expected = { values: await whole.bits(), position: position(whole.optimizer) };
      const scale = extra.guards && (await read(watched().device, [whole.optimizer.lossScale]));
      whole.end();

      await elsewhere(async ({ device }) => {
        const resumed = await begin(device, factory(), extra);
        for (const { param } of resumed.tensors) write(device, param, new Float32Array(param.size / 4));
        await resumed.optimizer.load(file, { hyperparameters: "file", schedules: "file" });
        expect(resumed.optimizer.groups[0]!.steps).toBe(SAVED_AFTER - (extra.guards ? 2 : 0));
        resumed.run(SAVED_AFTER + 1, SAVED_AFTER + MORE, spoiled);
        await resumed.optimizer.settled();
        expect(await resumed.bits()).toEqual(expected.values);
        expect(position(resumed.optimizer)).toEqual(expected.position);
        if (scale) expect(await read(device, [resumed.optimizer.lossScale])).toEqual(scale);
        resumed.end();
      });
    },
  );
});

test("averages and slow weights go on as well", async () => {
  const extra: Extra = { average: { decay: 0.9 }, slowWeights: { every: 3 } };
  const { device } = watched();
  const whole = await begin(device, adam(), extra);
  whole.run(1, 4);
  const file = await whole.optimizer.save();
  whole.run(5, 11);
  whole.optimizer.swapAverage();
  const expected = await whole.bits();
  await expectError(() => whole.optimizer.save(), "averaged");
  whole.end();
  const resumed = await begin(device, adam(), extra);
  await resumed.optimizer.load(file);
  resumed.run(5, 11);
  resumed.optimizer.swapAverage();
  expect(await resumed.bits()).toEqual(expected);
  resumed.end();

  const plain = await begin(device, adam());
  await expectError(() => plain.optimizer.load(file), "invalid-checkpoint", "a.average");
  await expectError(() => plain.optimizer.load(new Uint8Array(7)), "invalid-checkpoint");
  plain.end();
});

test("a file before the first step is one, too", async () => {
  const { device } = watched();
  const first = await begin(device, nadam(), { slowWeights: { every: 2 } });
  const file = await first.optimizer.save();
  first.run(1, 5);
  const expected = await first.bits();
  // Back to the start, by the optimizer that went on.
  await first.optimizer.load(file);
  expect(first.optimizer.groups[0]!.steps).toBe(0);
  first.run(1, 5);
  expect(await first.bits()).toEqual(expected);
  first.end();
});

describe("a file", () => {
  test("holds parameters and states by name, and the caller's metadata", async () => {
    const { device } = watched();
    const { optimizer, tensors, run, end } = await begin(device, adamw());
    run(1, 2);
    const file = readSafetensors(await optimizer.save({ metadata: { epoch: "7" } }));
    expect([...file.tensors.keys()]).toEqual(
      ["a", "b", "c"].flatMap((name) => [name, `${name}.exp_avg`, `${name}.exp_avg_sq`]),
    );
    expect(file.tensors.get("a.exp_avg")).toMatchObject({ dtype: "F32", shape: [3, 7] });
    const [a, c] = await read(device, [tensors[0]!.param, optimizer.state("c", "exp_avg_sq")]);
    const floats = (name: string) => new Float32Array(file.tensors.get(name)!.data.slice().buffer);
    expect(floats("a")).toEqual(a);
    expect(floats("c.exp_avg_sq")).toEqual(c);
    expect(file.metadata.get("format")).toBe("webgpu-optim");
    expect(file.metadata.get("epoch")).toBe("7");
    expect(JSON.parse(file.metadata.get("groups")!)).toMatchObject([
      { rule: "adamw", steps: 2, names: ["a", "b"], memory: [], schedule: 0, options: { lr: 0.001 } },
      { rule: "adamw", steps: 2, names: ["c"], memory: [], schedule: 0, options: { lr: 0.02 } },
    ]);
    expect(JSON.parse(file.metadata.get("schedules")!)).toEqual([
      JSON.parse(JSON.stringify(optimizer.groups[0]!.schedule)),
    ]);
    end();
  });

  test("comes the same from save, from several saves at once and from streams, and loads from each source", async () => {
    const { device } = watched();
    const { optimizer, run, bits, end } = await begin(device, adam());
    run(1, 3);
    const options = { metadata: { note: "three" } };
    const stream = optimizer.saveStream(options);
    const saves = [optimizer.save(options), optimizer.save(options)];
    const before = await bits();
    run(4, 6);
    const [one, two] = await Promise.all(saves);
    const three = new Uint8Array(await new Response(stream).arrayBuffer());
    expect(two).toEqual(one);
    expect(three).toEqual(one);
    for (const source of [one!, one!.buffer, new Blob([one!]), new Blob([one!]).stream()]) {
      run(7, 8);
      expect(new Map((await optimizer.load(source)).metadata)).toEqual(new Map([["note", "three"]]));
      expect(await bits()).toEqual(before);
      expect(optimizer.groups[0]!.steps).toBe(3);
    }
    end();
  });

  test("larger than a buffer may be is staged in several, freed as they are read or by cancel", async () => {
    const limit = 4096;
    const other = await watchedDevice({ maxBufferSize: limit });
    const { device, live } = other;
    const tensors = [tensor(device, "x", 3001), tensor(device, "y", 2)];
    const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors, stepsInFlight: 2 });
    optimizer.step();
    const before = live.size;
    const parts: Uint8Array[] = [];
    const reader = optimizer.saveStream().getReader();
    expect(live.size - before).toBe(9); // 3 · 3003 f32 in parts of 1024
    for (let part = await reader.read(); part.value; part = await reader.read()) parts.push(part.value);
    expect(live.size).toBe(before);
    expect(parts.slice(1).map(({ length }) => length)).toEqual([...Array(8).fill(limit), 36036 - 8 * limit]);
    const file = await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer();
    const values = async () =>
      bits(
        await read(
          device,
          tensors.flatMap(({ name, param }) => [param, optimizer.state(name, "exp_avg")]),
        ),
      );
    const expected = await values();
    optimizer.step();
    await optimizer.load(file);
    expect(await values()).toEqual(expected);
    expect(live.size).toBe(before);

    const given = optimizer.saveStream().getReader();
    await given.read();
    await given.cancel();
    expect(live.size).toBe(before);
    optimizer.destroy();
    destroyTensors(tensors);
    expect(other.errors).toEqual([]);
    device.destroy();
  });

  test("without parameters, and parameters that stay", async () => {
    const { device } = watched();
    const { optimizer, tensors, run, end } = await begin(device, momentum());
    run(1, 3);
    const parameters = async () =>
      bits(
        await read(
          device,
          tensors.map(({ param }) => param),
        ),
      );
    const [full, bare] = await Promise.all([optimizer.save(), optimizer.save({ parameters: false })]);
    expect([...readSafetensors(bare).tensors.keys()]).toEqual(
      ["a", "b", "c"].map((name) => `${name}.momentum_buffer`),
    );
    run(4, 4);
    const later = await parameters();
    await expectError(() => optimizer.load(bare), "invalid-checkpoint", "parameters: false");
    for (const file of [bare, full]) {
      await optimizer.load(file, { parameters: false });
      expect(optimizer.groups[0]!.steps).toBe(3);
      expect(await parameters()).toEqual(later);
    }
    end();
  });

  test("holds plateau schedules with what they learnt; functions of the caller's stay", async () => {
    const { device } = watched();
    const x = tensor(device, "x", 4);
    const y = tensor(device, "y", 4);
    const create = (schedule: ReturnType<typeof onPlateau>, own: (step: number) => number) =>
      createOptimizer(device, {
        rule: sgd(),
        groups: [
          { parameters: [x], schedule: warmup(2, schedule) },
          { parameters: [y], schedule: own },
        ],
      });
    const first = onPlateau({ factor: 0.5, patience: 0 });
    const saved = await create(first, (step) => 1 / (1 + step));
    for (const metric of [1, 2, 3]) first.report(metric);
    const file = await saved.save();
    saved.destroy();

    const second = onPlateau({ factor: 0.5, patience: 0 });
    const own = (step: number) => 1 / (2 + step);
    const resumed = await create(second, own);
    const kept = resumed.groups.map(({ schedule }) => schedule);
    await resumed.load(file);
    expect(second.state).toEqual(first.state);
    // Whoever reports to a schedule goes on reporting to the same one.
    expect(resumed.groups.map(({ schedule }) => schedule)).toEqual(kept);
    resumed.groups[0]!.schedule = (step) => step;
    await resumed.load(file, { schedules: "file" });
    expect(JSON.parse(JSON.stringify(resumed.groups[0]!.schedule))).toMatchObject({ kind: "warmup" });
    expect(resumed.groups[0]!.schedule(100)).toBe(0.25);
    expect(resumed.groups[1]!.schedule).toBe(own);
    resumed.destroy();
    destroyTensors([x, y]);
  });

  test.each([momentum({ dampening: 0.2 }), nadam(), adamw(), adam({ decay: "decoupled", weightDecay: 0.1 })])(
    "in PyTorch's terms loads again with the same bits: $row.name",
    async (rule) => {
      const { device } = watched();
      const { optimizer, run, bits, end } = await begin(device, rule);
      run(1, 4);
      const file = await optimizer.save({ format: "pytorch" });
      run(5, 9);
      const expected = { values: await bits(), position: position(optimizer) };
      await optimizer.load(file);
      run(5, 9);
      expect(await bits()).toEqual(expected.values);
      expect(position(optimizer)).toEqual(expected.position);
      end();
    },
  );
});

describe("what cannot be saved or loaded", () => {
  test("the middle of a step", async () => {
    const { device, counts } = watched();
    const { optimizer, end } = await begin(device, nesterovLookahead(), { accumulation: true });
    const file = await optimizer.save();
    const refused = async () => {
      const before = { ...counts };
      await expectError(() => optimizer.save(), "busy", "call step() first");
      await expectError(() => optimizer.saveStream(), "busy", "call step() first");
      await expectError(() => optimizer.load(file), "busy", "call step() first");
      expect(counts).toEqual(before);
    };
    optimizer.lookahead();
    await refused();
    optimizer.accumulate();
    await refused();
    optimizer.step();
    optimizer.accumulate();
    await refused();
    optimizer.restore();
    const encoder = device.createCommandEncoder();
    optimizer.lookahead(encoder);
    optimizer.encode(encoder);
    await refused();
    device.queue.submit([encoder.finish()]);
    optimizer.submitted();
    await optimizer.save();
    end();
  });

  test("anything while a checkpoint is loaded", async () => {
    const { device } = watched();
    const { optimizer, run, end } = await begin(device, adam());
    run(1, 1);
    const file = await optimizer.save();
    const loading = optimizer.load(file);
    await Promise.resolve();
    for (const call of [() => optimizer.step(), () => optimizer.save(), () => optimizer.load(file)])
      await expectError(call, "busy", "await it");
    await loading;
    run(2, 2);
    end();
  });

  test("parameters without the usage to copy", async () => {
    const { device } = watched();
    const plain = (usage: number) => device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE | usage });
    const grad = upload(device, new Float32Array(4));
    for (const [usage, call] of [
      [GPUBufferUsage.COPY_DST, "COPY_SRC"],
      [GPUBufferUsage.COPY_SRC, "COPY_DST"],
    ] as const) {
      const param = plain(usage);
      const optimizer = await createOptimizer(device, {
        rule: adam(),
        parameters: [{ name: "x", param, grad }],
      });
      const run = async () => optimizer.load(await optimizer.save());
      await expectError(run, "invalid-buffer", call);
      const states = await optimizer.save({ parameters: false });
      await optimizer.load(states, { parameters: false });
      optimizer.destroy();
      param.destroy();
    }
    grad.buffer.destroy();
  });

  test("a harmed or foreign file leaves all as it was", async () => {
    const { device } = watched();
    const { optimizer, run, bits, end } = await begin(device, nadam(), { guards });
    run(1, 3);
    const file = await optimizer.save();
    run(4, 5);
    await optimizer.settled();
    const before = { values: await bits(), position: position(optimizer) };
    const { tensors, metadata } = readSafetensors(file);
    const list = [...tensors].map(([name, entry]) => ({ name, ...entry }));
    const foreign = new Map(metadata).set("groups", metadata.get("groups")!.replaceAll('"nadam"', '"adam"'));
    for (const bad of [
      file.subarray(0, file.length - 1),
      writeSafetensors(list.slice(1), metadata),
      writeSafetensors(list, foreign),
      new Uint8Array(),
    ])
      await expectError(() => optimizer.load(bad), "invalid-checkpoint");
    await expectError(() => optimizer.load("file" as unknown as Blob), "invalid-argument", "got 'file'");
    expect(await bits()).toEqual(before.values);
    expect(position(optimizer)).toEqual(before.position);
    run(6, 7);
    const after = await bits();
    await optimizer.load(file);
    run(4, 7);
    expect(await bits()).toEqual(after);
    end();
  });

  test("a load whose copies fail changes nothing, on the GPU or the host", async () => {
    const { device, live } = watched();
    const tensors = [tensor(device, "x", 8), tensor(device, "y", 8)];
    const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors });
    optimizer.step();
    const file = await optimizer.save();
    optimizer.step();
    const ranges = [tensors[0]!.param, optimizer.state("x", "exp_avg"), optimizer.state("y", "exp_avg_sq")];
    const before = bits(await read(device, ranges));
    tensors[1]!.param.buffer.destroy();
    const alive = live.size;
    await expectError(() => optimizer.load(file), "gpu-error", "alive");
    await expectError(() => optimizer.save(), "gpu-error", "alive");
    expect(live.size).toBe(alive);
    expect(optimizer.groups[0]!.steps).toBe(2);
    expect(bits(await read(device, ranges))).toEqual(before);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("a save whose device is lost", async () => {
    const { device } = await watchedDevice();
    const { optimizer } = await begin(device, adam(), { guards });
    const [saving, stream] = [optimizer.save(), optimizer.saveStream()];
    device.destroy();
    await expectError(() => saving, "device-lost");
    await expectError(() => stream.getReader().read(), "device-lost");
  });

  test("names of states that meet names of parameters, and options that are none", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 4), tensor(device, "x.exp_avg", 4)];
    const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors });
    await expectError(() => optimizer.save(), "duplicate-name", "x.exp_avg");
    const wrong = (options: object) => () => optimizer.save(options as { parameters?: boolean });
    await expectError(wrong({ form: "pytorch" }), "invalid-argument", "'form'");
    await expectError(wrong({ format: "keras" }), "invalid-argument", "got 'keras'");
    await expectError(wrong({ metadata: { groups: "mine" } }), "invalid-argument", "'groups'");
    await expectError(wrong({ metadata: { a: 1 } }), "invalid-argument", "got 1");
    await expectError(
      () => optimizer.load(new Uint8Array(), { states: false } as object),
      "invalid-argument",
    );
    optimizer.destroy();
    destroyTensors(tensors);
  });
});
