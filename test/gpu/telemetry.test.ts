// Telemetry: every number that is reported, held against the CPU; that each step is reported once and in order, late,
// and what it costs.
import { describe, expect, test } from "vitest";
import { countWork } from "../../bench/count.js";
import { transformerShapes } from "../../bench/transformer.js";
import {
  adam,
  createArena,
  createOptimizer,
  type GuardOptions,
  momentum,
  nesterovLookahead,
  type OptimError,
  requestDevice,
  type StepReport,
  sgd,
  type TelemetryOptions,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { difference, useDevice, watchedDevice } from "../support/device.js";
import { gradients, normals } from "../support/numbers.js";
import { record } from "../support/record.js";
import { destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

/** Reports without the one thing that differs from run to run. */
const untimed = (reports: readonly StepReport[]) => reports.map(({ gpuTime: _, ...report }) => report);

const watched = useDevice();

const hypot = (lists: readonly ArrayLike<number>[]) =>
  Math.sqrt(
    lists.reduce((sum, list) => sum + Array.from(list).reduce((part, value) => part + value * value, 0), 0),
  );
const minus = (a: Float32Array, b: Float32Array) => a.map((value, i) => value - b[i]!);

/**
 * Squares are summed in f32, at most 64 a thread and then in pairs: within a few ULP (6e-8 each). The CPU has the update
 * from the parameters before and after, each rounded at a size up to a hundred times that of the update.
 */
const TOLERANCE = 1e-5;
const expectClose = (got: number, expected: number, what: string) =>
  expect(Math.abs(got - expected), `${what}: ${got}, expected ${expected}`).toBeLessThanOrEqual(
    TOLERANCE * Math.abs(expected),
  );

/** Two groups over an arena and loose tensors of odd lengths and offsets. */
function makeModel() {
  const { device } = watched();
  const arena = createArena(device, [{ a: [7, 11], b: [5000] }]);
  const loose = [
    tensor(device, "x", 1501, { offset: 4, gradientOffset: 12 }),
    tensor(device, "y", 31, { offset: 20 }),
  ];
  const groups: readonly (readonly TestTensor[])[] = [
    [...(arena.groups[0] as readonly TestTensor[]), loose[1]!],
    [loose[0]!],
  ];
  const tensors = groups.flat();
  tensors.forEach(({ param }, i) => {
    write(device, param, normals(100 + i, param.size / 4));
  });
  return {
    groups,
    tensors,
    gradientsAt: (t: number) => tensors.map(({ param }, i) => gradients(60 + i, t, param.size / 4)),
    destroy() {
      arena.destroy();
      destroyTensors(loose);
    },
  };
}

type Model = ReturnType<typeof makeModel>;

function makeOptimizer(
  { groups }: Model,
  telemetry: TelemetryOptions,
  guards: GuardOptions = {},
  accumulation = false,
) {
  return createOptimizer(watched().device, {
    groups: [
      { parameters: groups[0]!, rule: momentum({ lr: 0.1, momentum: 0.5 }) },
      { parameters: groups[1]!, rule: nesterovLookahead({ lr: 0.05, weightDecay: 0.01 }) },
    ],
    accumulation,
    stepsInFlight: 256,
    guards,
    telemetry,
  });
}

test("every number equals the CPU's, for each step, over all and by tensor", async () => {
  const { device } = watched();
  const model = makeModel();
  const { tensors } = model;
  const reports: StepReport[] = [];
  const guards = { clipValue: 2, clipNorm: 9, clipGlobalNorm: 12, lossScale: { initial: 8, interval: 2 } };
  const optimizer = await makeOptimizer(
    model,
    { perTensor: true, onReport: (report) => reports.push(report) },
    guards,
  );
  const ranges = tensors.map(({ param }) => param);
  let before = await read(device, ranges);
  let scale = 8;
  let good = 0;
  const bad = new Set([3, 6]);
  for (let t = 1; t <= 8; t += 1) {
    const given = model.gradientsAt(t);
    optimizer.lookahead();
    tensors.forEach(({ grad }, i) => {
      const values = given[i]!.map((value) => scale * value);
      if (bad.has(t) && i === t % 2) values.fill(Number.NaN, 1, t);
      write(device, grad, values);
    });
    optimizer.step();
    await optimizer.settled();
    const after = await read(device, ranges);
    const report = reports.at(-1)!;
    const taken = !bad.has(t);
    expect(report).toMatchObject({
      attempt: t,
      taken,
      lossScale: scale,
      faults: 0,
      nonFinite: taken ? 0 : t - 1,
    });
    expect(report.applied + report.skipped).toBe(t);
    const clipped = given.map((values, i) =>
      values.map((value, k) =>
        !taken && i === t % 2 && k >= 1 && k < t ? 0 : Math.max(-2, Math.min(2, value)),
      ),
    );
    const norms = clipped.map((values) => hypot([values]));
    const afterNorm = Math.hypot(...norms.map((norm) => Math.min(norm, (9 * norm) / (norm + 1e-6))));
    expectClose(report.gradientNorm, afterNorm, `gradient norm ${t}`);
    expectClose(report.clipFactor, Math.min(1, 12 / (afterNorm + 1e-6)), `clip factor ${t}`);
    expectClose(report.parameterNorm, hypot(after), `parameter norm ${t}`);
    expectClose(
      report.updateNorm,
      hypot(after.map((values, i) => minus(before[i]!, values))),
      `update norm ${t}`,
    );
    expectClose(report.updateRatio, report.updateNorm / report.parameterNorm, `ratio ${t}`);
    expect([...report.tensors!.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
    tensors.forEach(({ name }, i) => {
      const one = report.tensors!.get(name)!;
      expectClose(one.gradientNorm, norms[i]!, `gradient norm of ${name} ${t}`);
      expectClose(one.parameterNorm, hypot([after[i]!]), `parameter norm of ${name} ${t}`);
      expectClose(one.updateNorm, hypot([minus(before[i]!, after[i]!)]), `update norm of ${name} ${t}`);
      expect(one.nonFinite).toBe(!taken && i === t % 2 ? t - 1 : 0);
    });
    if (!taken) expect(report.updateNorm).toBe(0);
    else expect(report.updateNorm).toBeGreaterThan(0);
    good = taken ? good + 1 : 0;
    if (!taken) scale /= 2;
    if (good === 2) {
      scale *= 2;
      good = 0;
    }
    before = after;
  }
  expect(reports.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  optimizer.destroy();
  model.destroy();
});

/** Reports of `count` steps, all encoded into one encoder or settled one by one. */
async function reportsOf(
  count: number,
  manner: "one encoder" | "one by one",
  options: TelemetryOptions = {},
) {
  const { device } = watched();
  const model = makeModel();
  const reports: StepReport[] = [];
  const optimizer = await makeOptimizer(
    model,
    { ...options, onReport: (report) => reports.push(report) },
    { clipGlobalNorm: 5 },
  );
  const given = (t: number) => {
    const values = model.gradientsAt(t % 5);
    if (t % 9 === 8) values[t % 4]![3] = Number.POSITIVE_INFINITY;
    return values;
  };
  const grads = model.tensors.map(({ grad }) => grad);
  if (manner === "one encoder")
    await record(device, optimizer, {
      steps: count,
      grads,
      gradients: given,
      watch: [model.tensors[2]!.param],
    });
  else
    for (let t = 1; t <= count; t += 1) {
      optimizer.lookahead();
      const values = given(t);
      grads.forEach((grad, i) => {
        write(device, grad, values[i]!);
      });
      optimizer.step();
      await optimizer.settled();
    }
  await optimizer.settled();
  await optimizer.settled();
  const { steps } = optimizer.groups[0]!;
  optimizer.destroy();
  model.destroy();
  return { reports, steps };
}

describe("each step is reported once and in order", () => {
  test("64 steps in one submit: all of them, with the same bits as one by one", async () => {
    const single = await reportsOf(64, "one by one");
    const { reports, steps } = await reportsOf(64, "one encoder");
    expect(single.reports.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 64 }, (_, i) => i + 1));
    expect(single.steps).toBe(57);
    expect(steps).toBe(57);
    expect(untimed(reports)).toEqual(untimed(single.reports));
  });

  test("100 steps in one submit", async () => {
    const single = await reportsOf(100, "one by one");
    // Eleven skips: more than are in flight by default.
    const { device } = watched();
    const model = makeModel();
    const reports: StepReport[] = [];
    const optimizer = await makeOptimizer(
      model,
      { onReport: (report) => reports.push(report) },
      { clipGlobalNorm: 5, skipsInFlight: 16 },
    );
    await record(device, optimizer, {
      steps: 100,
      grads: model.tensors.map(({ grad }) => grad),
      gradients: (t) => {
        const values = model.gradientsAt(t % 5);
        if (t % 9 === 8) values[t % 4]![3] = Number.POSITIVE_INFINITY;
        return values;
      },
      watch: [model.tensors[2]!.param],
    });
    await optimizer.settled();
    expect(untimed(reports)).toEqual(untimed(single.reports));
    expect(reports).toHaveLength(100);
    expect(reports.at(-1)).toMatchObject({ attempt: 100, applied: 89, skipped: 11, faults: 0 });
    expect(optimizer.groups[0]!.steps).toBe(89);
    optimizer.destroy();
    model.destroy();
  });

  test("steps that are submitted one encoder after the other", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 9)];
    const attempts: number[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      parameters: tensors,
      telemetry: { onReport: ({ attempt }) => attempts.push(attempt) },
    });
    const encoders = Array.from({ length: 3 }, () => {
      const encoder = device.createCommandEncoder();
      optimizer.encode(encoder);
      return encoder;
    });
    await optimizer.settled();
    expect(attempts).toEqual([]);
    for (const [i, encoder] of encoders.entries()) {
      device.queue.submit([encoder.finish()]);
      optimizer.submitted(1);
      if (i === 0) await optimizer.settled();
      if (i === 0) expect(attempts).toEqual([1]);
    }
    await optimizer.settled();
    expect(attempts).toEqual([1, 2, 3]);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("every: one read-back for so many steps, which brings all of them", async () => {
    const { device, counts } = watched();
    const tensors = [tensor(device, "x", 9)];
    const reports: StepReport[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      parameters: tensors,
      telemetry: { every: 4, perTensor: true, onReport: (report) => reports.push(report) },
    });
    const before = counts.maps;
    for (let t = 1; t <= 11; t += 1) {
      optimizer.step();
      await device.queue.onSubmittedWorkDone();
      // A read-back that is under way takes more than one turn.
      while (reports.length < Math.floor(t / 4) * 4) await new Promise((resolve) => setTimeout(resolve, 1));
      expect(reports).toHaveLength(Math.floor(t / 4) * 4);
      expect(counts.maps - before).toBe(Math.floor(t / 4));
    }
    await optimizer.settled();
    expect(counts.maps - before).toBe(3);
    expect(reports.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(reports.filter(({ tensors }) => tensors).map(({ attempt }) => attempt)).toEqual([4, 8]);
    // Norms of parameters and updates are of the steps that keep them.
    expect(reports.filter(({ updateNorm }) => updateNorm > 0).map(({ attempt }) => attempt)).toEqual([4, 8]);
    expect(reports.every(({ gradientNorm }) => gradientNorm > 0)).toBe(true);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("the iterator gives the same, waits for more, and ends when the optimizer is destroyed", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 9)];
    const called: StepReport[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      parameters: tensors,
      telemetry: { onReport: (report) => called.push(report) },
    });
    const iterated: StepReport[] = [];
    const reading = (async () => {
      for await (const report of optimizer.reports) iterated.push(report);
      return "ended";
    })();
    for (let t = 0; t < 10; t += 1) {
      optimizer.step();
      if (t % 3 === 0) await optimizer.settled();
    }
    await optimizer.settled();
    optimizer.destroy();
    expect(await reading).toBe("ended");
    expect(iterated).toEqual(called);
    expect(called.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    destroyTensors(tensors);
  });

  test("a report may destroy the optimizer; no other follows", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 9)];
    const attempts: number[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      parameters: tensors,
      telemetry: {
        every: 8,
        onReport: ({ attempt }) => {
          attempts.push(attempt);
          if (attempt === 2) optimizer.destroy();
        },
      },
    });
    for (let t = 0; t < 5; t += 1) optimizer.step();
    await optimizer.settled();
    expect(attempts).toEqual([1, 2]);
    destroyTensors(tensors);
  });

  test("norms are right where gradients and accumulated ones alternate, whose sums are laid out apart", async () => {
    const { device } = watched();
    const model = makeModel();
    const reports: StepReport[] = [];
    const optimizer = await makeOptimizer(model, { onReport: (report) => reports.push(report) }, {}, true);
    const ranges = model.tensors.map(({ param }) => param);
    const expected: { parameters: number; update: number }[] = [];
    let before = await read(device, ranges);
    for (const [t, accumulated] of [false, true, true, false, false, true, false].entries()) {
      optimizer.lookahead();
      model.gradientsAt(t).forEach((values, i) => {
        write(device, model.tensors[i]!.grad, values);
      });
      if (accumulated) optimizer.accumulate();
      optimizer.step();
      const after = await read(device, ranges);
      expected.push({
        parameters: hypot(after),
        update: hypot(after.map((values, i) => minus(values, before[i]!))),
      });
      before = after;
    }
    await optimizer.settled();
    expect(reports).toHaveLength(7);
    expected.forEach(({ parameters, update }, t) => {
      expectClose(reports[t]!.parameterNorm, parameters, `parameter norm ${t}`);
      expectClose(reports[t]!.updateNorm, update, `update norm ${t}`);
    });
    optimizer.destroy();
    model.destroy();
  });
});

describe("what ends badly", () => {
  const bad = new Float32Array(9).fill(Number.NaN);

  test.each(["skip", "zero", "keep"] as const)(
    "failure rejects with the first non-finite gradient (%s)",
    async (nonFinite) => {
      const { device } = watched();
      const tensors = [tensor(device, "x", 9)];
      const optimizer = await createOptimizer(device, {
        rule: sgd(),
        parameters: tensors,
        guards: { nonFinite },
      });
      let failed: OptimError | undefined;
      optimizer.failure.catch((error: OptimError) => {
        failed = error;
      });
      optimizer.step();
      await optimizer.settled();
      expect(failed).toBeUndefined();
      write(device, tensors[0]!.grad, bad);
      optimizer.step();
      optimizer.step();
      await optimizer.settled();
      expect(failed).toMatchObject({ name: "OptimError", code: "non-finite" });
      expect(failed!.message).toContain("9 NaN or infinite values in step 2");
      await expect(optimizer.failure).rejects.toBe(failed);
      optimizer.destroy();
      destroyTensors(tensors);
    },
  );

  test("a failure that nobody looks at disturbs nobody", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 9)];
    const unhandled: unknown[] = [];
    const listen = ({ reason }: PromiseRejectionEvent) => unhandled.push(reason);
    addEventListener("unhandledrejection", listen);
    const optimizer = await createOptimizer(device, { rule: sgd(), parameters: tensors, telemetry: {} });
    write(device, tensors[0]!.grad, bad);
    optimizer.step();
    await optimizer.settled();
    optimizer.destroy();
    // The event comes with a later task.
    await new Promise((resolve) => setTimeout(resolve, 20));
    removeEventListener("unhandledrejection", listen);
    expect(unhandled).toEqual([]);
    destroyTensors(tensors);
  });

  test("destroy in the middle of a read-back: settled() resolves, nothing fails, the iterator ends", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 9)];
    let reported = 0;
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      parameters: tensors,
      telemetry: {
        onReport: () => {
          reported += 1;
        },
      },
    });
    const { failure } = optimizer;
    let failed: unknown = "nothing";
    failure.catch((error) => {
      failed = error;
    });
    const ended = optimizer.reports[Symbol.asyncIterator]().next();
    optimizer.step();
    const settled = optimizer.settled();
    optimizer.destroy();
    await settled;
    expect(await ended).toMatchObject({ done: true });
    await device.queue.onSubmittedWorkDone();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(failed).toBe("nothing");
    expect(reported).toBe(0);
    destroyTensors(tensors);
  });

  test("a device lost while a read-back is mapped: all that waits is told", async () => {
    const { device } = await watchedDevice();
    const tensors = [tensor(device, "x", 9)];
    const optimizer = await createOptimizer(device, { rule: sgd(), parameters: tensors, telemetry: {} });
    const ended = optimizer.reports[Symbol.asyncIterator]().next();
    const { failure } = optimizer;
    optimizer.step();
    const settled = optimizer.settled();
    device.destroy();
    await expect(settled).rejects.toMatchObject({ name: "OptimError", code: "device-lost" });
    await expect(failure).rejects.toMatchObject({ name: "OptimError", code: "device-lost" });
    expect(await ended).toMatchObject({ done: true });
    optimizer.destroy();
  });
});

describe("a deep chain", () => {
  const DEPTH = 24;
  const WIDTH = 8;

  /** Gradients of the sum of W_n…W_1 x by each W: square random matrices of this scale. */
  function chain(scale: number): Float32Array[] {
    const weights = Array.from({ length: DEPTH }, (_, k) =>
      normals(k, WIDTH * WIDTH, scale / Math.sqrt(WIDTH)),
    );
    const rows = Array.from({ length: WIDTH }, (_, i) => i);
    const outputs = [[...normals(99, WIDTH)]];
    for (const weight of weights)
      outputs.push(
        rows.map((i) => rows.reduce((sum, j) => sum + weight[i * WIDTH + j]! * outputs.at(-1)![j]!, 0)),
      );
    let delta = outputs.at(-1)!.map(() => 1);
    const slopes: Float32Array[] = [];
    for (let k = DEPTH - 1; k >= 0; k -= 1) {
      slopes.unshift(Float32Array.from(rows.flatMap((i) => rows.map((j) => delta[i]! * outputs[k]![j]!))));
      const next = delta;
      delta = rows.map((j) => rows.reduce((sum, i) => sum + weights[k]![i * WIDTH + j]! * next[i]!, 0));
    }
    return slopes;
  }

  test("shows by tensor where gradients vanish, and where they explode", async () => {
    const { device } = watched();
    const names = Array.from({ length: DEPTH }, (_, k) => `layer${k}`);
    const arena = createArena(device, [Object.fromEntries(names.map((name) => [name, [WIDTH, WIDTH]]))]);
    const reports: StepReport[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      parameters: arena.groups[0]!,
      telemetry: { perTensor: true, onReport: (report) => reports.push(report) },
    });
    // The last scale leaves the range of f32.
    for (const scale of [0.2, 3, 200]) {
      const slopes = chain(scale);
      names.forEach((name, k) => {
        write(device, arena.get(name).grad, slopes[k]!);
      });
      optimizer.step();
      await optimizer.settled();
      const { tensors, nonFinite } = reports.at(-1)!;
      names.forEach((name, k) => {
        const values = slopes[k]!;
        const lost = values.filter((value) => !Number.isFinite(value)).length;
        expect(tensors!.get(name)!.nonFinite, name).toBe(lost);
        const norm = hypot([values.filter(Number.isFinite)]);
        // Above, squares overflow; below, those of the smaller elements are subnormal and may be flushed.
        if (norm > 1e-15 && norm < 1e19) expectClose(tensors!.get(name)!.gradientNorm, norm, name);
      });
      const all = slopes.flatMap((values) => [...values]).filter((value) => !Number.isFinite(value)).length;
      expect(nonFinite).toBe(all);
      if (scale === 0.2) expect(tensors!.get("layer0")!.gradientNorm).toBeLessThan(1e-10);
      if (scale === 3) expect(tensors!.get("layer0")!.gradientNorm).toBeGreaterThan(1e6);
      if (scale === 200) expect(all).toBeGreaterThan(0);
    }
    optimizer.destroy();
    arena.destroy();
  });
});

describe("cost", () => {
  /** 2.6 million parameters. */
  const shapes = () => transformerShapes(128);
  const everything: GuardOptions = {
    clipValue: 1,
    clipNorm: 1,
    clipGlobalNorm: 1,
    lossScale: { initial: 1024 },
  };

  /** What one step asks of the device, and the size of the arena. */
  async function measureStep(options: { guards?: GuardOptions; telemetry?: TelemetryOptions }) {
    const device = await requestDevice();
    const counter = countWork(device);
    const arena = createArena(device, [shapes()]);
    expect(arena.groups[0]).toHaveLength(148);
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: arena.groups[0]!,
      ...options,
    });
    const step = async () => {
      optimizer.step();
      await optimizer.settled();
    };
    await step();
    // With its read-back.
    const { bytes, dispatches } = await counter.count(step);
    const size = arena.parameters.size;
    optimizer.destroy();
    arena.destroy();
    device.destroy();
    return { bytes, dispatches, size };
  }

  test("all guards and all telemetry over 148 tensors: 11 dispatches more, less than 1.35 times the bytes", async () => {
    const off = await measureStep({});
    const on = await measureStep({ guards: everything, telemetry: { perTensor: true } });
    // Adam: parameters, two states read and written, gradients read.
    expect(off).toEqual({ dispatches: 1, bytes: 7 * off.size, size: off.size });
    // Measure, decision and record; before and after the step two levels of sums, what is found of each tensor, and sums
    // of the list of these.
    expect(on.dispatches).toBe(1 + 3 + 2 * 4);
    // Gradients are read once more: 8/7. The rest are partial sums, 8 bytes for each 256 of a tensor, counted as read and
    // written where they are written.
    console.info(
      `bytes of a step: ${off.bytes} without, ${on.bytes} with all, ratio ${(on.bytes / off.bytes).toFixed(3)}`,
    );
    expect(on.bytes / off.bytes).toBeGreaterThan(8 / 7);
    expect(on.bytes / off.bytes).toBeLessThan(1.35);
  });

  test("nothing where it is off: no buffer, no dispatch, no read-back", async () => {
    const { device, counts, live } = watched();
    const arena = createArena(device, [shapes()]);
    const before = { ...counts };
    const optimizer = await createOptimizer(device, { rule: adam(), parameters: arena.groups[0]! });
    const labels = [...live].map(({ label }) => label).filter((label) => !label.startsWith("arena"));
    expect(labels.sort()).toEqual(["adam chunks 0", "adam exp_avg 0", "adam exp_avg_sq 0", "adam uniforms"]);
    // One bind group of uniforms and one of the only chunk.
    expect(difference(counts, before)).toMatchObject({ buffers: 4, bindGroups: 2, maps: 0 });
    const steps = { ...counts };
    for (let t = 0; t < 3; t += 1) optimizer.step();
    await optimizer.settled();
    expect(difference(counts, steps)).toMatchObject({
      dispatches: 3,
      submits: 3,
      encoders: 3,
      passes: 3,
      buffers: 0,
      bindGroups: 0,
      maps: 0,
    });
    optimizer.destroy();
    arena.destroy();
  });

  test("with all of it on, a step makes no GPU object but encoders, passes and command buffers", async () => {
    const { device, counts } = watched();
    const arena = createArena(device, [{ a: [100], b: [7] }]);
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: arena.groups[0]!,
      guards: everything,
      telemetry: { perTensor: true },
    });
    optimizer.step();
    await optimizer.settled();
    const before = { ...counts };
    for (let t = 0; t < 5; t += 1) {
      optimizer.step();
      await optimizer.settled();
    }
    expect(difference(counts, before)).toMatchObject({
      buffers: 0,
      bindGroups: 0,
      layouts: 0,
      modules: 0,
      pipelines: 0,
      dispatches: 60,
      submits: 10,
      maps: 5,
    });
    optimizer.destroy();
    arena.destroy();
  });
});

test("the newest report tells the GPU time, where the device has timestamps", async () => {
  const { device } = watched();
  const param = upload(device, new Float32Array(1 << 20));
  const grad = upload(device, new Float32Array(1 << 20));
  const reports: StepReport[] = [];
  const optimizer = await createOptimizer(device, {
    rule: adam(),
    parameters: [{ name: "x", param, grad }],
    telemetry: { onReport: (report) => reports.push(report) },
  });
  const start = performance.now();
  for (let t = 0; t < 3; t += 1) {
    optimizer.step();
    await optimizer.settled();
  }
  const wall = performance.now() - start;
  const times = reports.map(({ gpuTime }) => gpuTime);
  if (device.features.has("timestamp-query"))
    for (const time of times) {
      expect(time).toBeGreaterThan(0);
      expect(time).toBeLessThan(wall);
    }
  else expect(times).toEqual([undefined, undefined, undefined]);
  optimizer.destroy();
  param.buffer.destroy();
  grad.buffer.destroy();
});
