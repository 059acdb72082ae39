// What a checkpoint must hold to fit an optimizer, without a GPU.
import { describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { packChunks } from "../../src/engine/memory/chunks.js";
import { fromPyTorchGroup, toPyTorch } from "../../src/frameworks/pytorch-state.js";
import {
  adagrad,
  adam,
  adamax,
  adamw,
  amsgrad,
  asgd,
  cosine,
  fromPyTorch,
  momentum,
  nadam,
  nesterov,
  nesterovLookahead,
  OptimError,
  type Rule,
  radam,
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  rmspropNesterov,
  rprop,
  sgd,
} from "../../src/index.js";
import { VERSION } from "../../src/version.js";
import { check, groupOf, sample, write } from "../support/checkpoints.js";
import { expectError } from "../support/errors.js";
import { variants } from "../support/variants.js";

test("the version is that of package.json", () => {
  expect(VERSION).toBe(manifest.version);
});

describe("a checkpoint that fits", () => {
  test.each(["webgpu-optim", "pytorch"] as const)("gives back what was saved: %s", (format) => {
    const { groups, tensors, metadata } = sample(format);
    const checked = check(write(tensors, metadata), groups);
    expect(checked.groups.map(({ steps, cohorts }) => ({ steps, cohorts }))).toEqual([
      { steps: 12, cohorts: [{ names: ["w", "b"], steps: 12, memory: [0.25] }] },
      { steps: 34, cohorts: [{ names: ["e", "s"], steps: 34, memory: [] }] },
    ]);
    expect(checked.groups.map(({ options }) => options)).toEqual(groups.map(({ options }) => options));
    // The same options, so the group's own.
    expect(checked.groups.map(({ schedule }) => schedule)).toEqual(groups.map(({ schedule }) => schedule));
    expect(checked.guards).toEqual({ dynamic: true, lossScale: 1024, goodSteps: 7 });
    expect([...checked.result.metadata]).toEqual([["mine", "kept"]]);
    expect([...checked.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
  });

  test("may have other hyperparameters, another order of names and another built-in schedule", () => {
    const { tensors, metadata, groups } = sample();
    const other = groupOf(nadam({ lr: 5, beta1: 0.5 }), { b: [2], w: [2, 3] }, cosine({ steps: 3 }));
    const decided = { hyperparameters: "file", schedules: "file" } as const;
    const [first] = check(write(tensors, metadata), [other, groups[1]!], decided).groups;
    expect(first!.options).toEqual(groups[0]!.options);
    expect(JSON.stringify(first!.schedule)).toBe(JSON.stringify(groups[0]!.schedule));
  });

  test("without parameters, where they are not asked for", () => {
    const { groups, tensors, metadata } = sample();
    const states = tensors.filter(({ name }) => name.includes("."));
    expect([...check(write(states, metadata), groups, { parameters: false }).tensors.keys()]).toHaveLength(
      states.length,
    );
    expect([...check(write(tensors, metadata), groups, { parameters: false }).tensors.keys()]).toHaveLength(
      states.length,
    );
  });
});

describe("a checkpoint that does not fit", () => {
  const { groups, tensors, metadata } = sample();
  const decided = { hyperparameters: "file", schedules: "file" } as const;
  const refused = (file: Uint8Array, part: string | RegExp, target = groups) =>
    expectError(() => check(file, target, decided), "invalid-checkpoint", part);
  const having = (key: string, change: (text: string) => string | undefined) => {
    const changed = new Map(metadata);
    const text = change(metadata.get(key)!);
    if (text === undefined) changed.delete(key);
    else changed.set(key, text);
    return write(tensors, changed);
  };
  /** With the first group's members replaced. */
  const group = (members: object) =>
    having("groups", (text) => {
      const [first, ...rest] = JSON.parse(text) as object[];
      return JSON.stringify([{ ...first, ...members }, ...rest]);
    });

  test("another model: tensors missing, too many, reshaped, retyped", async () => {
    for (const { name } of tensors)
      await refused(
        write(
          tensors.filter((tensor) => tensor.name !== name),
          metadata,
        ),
        `"${name}"`,
      );
    const extra = { ...tensors[0]!, name: "w.other" };
    await refused(write([...tensors, extra], metadata), '"w.other"');
    const changed = (change: object) =>
      write(
        tensors.map((tensor) => (tensor.name === "w.exp_avg" ? { ...tensor, ...change } : tensor)),
        metadata,
      );
    await refused(changed({ shape: [3, 2] }), "expected F32 [2, 3], got F32 [3, 2]");
    await refused(changed({ shape: [6] }), "got F32 [6]");
    await refused(changed({ dtype: "I32" }), "got I32 [2, 3]");
    await refused(changed({ dtype: "F16", shape: [2, 6] }), "got F16");
  });

  test("other groups", async () => {
    await refused(write(tensors, metadata), "other parameters", [groups[0]!]);
    await refused(group({ names: ["w"] }), '"b"');
    await refused(group({ names: ["w", "b", "c"] }), '"c"');
    await refused(group({ names: ["w", "b", "b"] }), "twice");
    await refused(group({ names: "wb" }), "no list of names");
    await refused(
      having("groups", () => "[null, null]"),
      "no object",
    );
    await refused(
      having("groups", () => undefined),
      "cannot be read",
    );
    await refused(
      having("groups", () => "[{"),
      "cannot be read",
    );
  });

  test("another format or a newer one", async () => {
    await refused(
      having("format", () => "pt"),
      "got pt",
    );
    await refused(
      having("format", () => undefined),
      "got none",
    );
    await refused(
      having("format", () => "toString"),
      "got toString",
    );
    await refused(
      having("format_version", () => "3"),
      "update webgpu-optim",
    );
    for (const version of ["0", "-1", "1.5", "one", "", "1e3"])
      await refused(
        having("format_version", () => version),
        "no version",
      );
  });

  test("another rule, or options that it does not take", async () => {
    await refused(group({ rule: "adam" }), "expected nadam, got adam");
    await refused(group({ options: { beta3: 1 } }), "'beta3'");
    await refused(group({ options: { beta1: 1 } }), "beta1");
    await refused(group({ options: { lr: -1 } }), "lr");
    await refused(group({ options: null }), "no options");
    const inside = groupOf(rmsprop({ epsInside: true }), { x: [1] });
    const outside = sample("webgpu-optim", [groupOf(rmsprop(), { x: [1] })]);
    await refused(write(outside.tensors, outside.metadata), "another kernel", [inside]);
  });

  test.each([-1, 1.5, null, "3", 2 ** 53, 1e300, undefined])("a step count of %s", async (steps) => {
    await refused(group({ steps }), "no step count");
  });

  test("a step count of NaN or of infinity", async () => {
    for (const text of ["NaN", "Infinity", "1e999"])
      await refused(
        having("groups", (groups) => groups.replace('"steps":12', `"steps":${text}`)),
        text === "1e999" ? "no step count" : "cannot be read",
      );
  });

  test("wrong memory, schedules or guards", async () => {
    for (const memory of [[], [1, 2], [null], ["1"], {}, 1]) await refused(group({ memory }), "memory");
    for (const schedule of [2, -1, 0.5, "user", null]) await refused(group({ schedule }), "no schedule");
    await refused(
      having("schedules", () => '[{"kind":"sine"}, "user"]'),
      "'sine'",
    );
    await refused(
      having("schedules", () => '[{"kind":"cosine","steps":-1}, "user"]'),
      "steps",
    );
    await refused(
      having("schedules", () => "{}"),
      "no list of schedules",
    );
    for (const guards of [
      "1",
      '{"dynamic":true,"lossScale":0}',
      '{"dynamic":true,"lossScale":1.7e38,"goodSteps":0}',
    ])
      await refused(
        having("guards", () => guards),
        "the checkpoint",
      );
    await refused(
      having("guards", () => '{"dynamic":1,"lossScale":1,"goodSteps":0}'),
      "dynamic",
    );
    await refused(
      having("guards", () => '{"dynamic":true,"lossScale":1,"goodSteps":4294967296}'),
      "u32",
    );
  });
});

describe("PyTorch's terms", () => {
  const there: readonly (readonly [string, Rule])[] = [
    ["SGD", sgd({ lr: 0.5, weightDecay: 0.1 })],
    ["SGD", momentum({ dampening: 0.25, maximize: true })],
    ["SGD", nesterov({ momentum: 0.8 })],
    ["Adagrad", adagrad({ lrDecay: 0.1, initialAccumulatorValue: 0.5 })],
    ["RMSprop", rmsprop({ alpha: 0.9 })],
    ["RMSprop", rmspropCentered()],
    ["RMSprop", rmspropMomentum({ momentum: 0.5 })],
    ["RMSprop", rmspropCenteredMomentum()],
    ["Adam", adam({ beta1: 0.8, eps: 1e-6 })],
    ["AdamW", adam({ decay: "decoupled", weightDecay: 0.1 })],
    ["AdamW", adamw()],
    ["Adam", adamw({ decay: "coupled" })],
    ["Adam", amsgrad({ beta2: 0.99 })],
    ["AdamW", amsgrad({ decay: "decoupled", weightDecay: 0.1 })],
    ["Adamax", adamax({ weightDecay: 0.1 })],
    ["NAdam", nadam({ momentumDecay: 0.01 })],
    ["RAdam", radam({ decay: "decoupled", weightDecay: 0.1 })],
    ["Rprop", rprop({ etaPlus: 1.5, stepSizeMax: 1 })],
    ["ASGD", asgd({ lambd: 0.01, t0: 5, weightDecay: 0.1 })],
  ];

  test.each(there)("%s: %o", (name, { row, options }) => {
    const group = toPyTorch(row.name, options, options.lr);
    expect(group.optimizer).toBe(name);
    // What PyTorch has no key for stays as it is here.
    expect(options).toMatchObject(fromPyTorchGroup(row.name, group));
    // The importer of configurations takes it for the same rule.
    const imported = fromPyTorch(group.optimizer, group.config);
    expect(imported.row.shader.file).toBe(row.shader.file);
    expect(imported.options).toEqual(options);
  });

  test("no option of any rule is lost on the way", () => {
    // A state that has begun no longer tells where it did.
    const initial = ["initialSquareAvg"];
    const lost = variants.flatMap(({ factory, options }) => {
      const rule = factory(options);
      const { row } = rule;
      const back = () => fromPyTorchGroup(row.name, toPyTorch(row.name, rule.options, rule.options.lr));
      try {
        const found: Readonly<Record<string, unknown>> = back();
        return (
          Object.entries(options)
            .filter(([name, value]) => found[name] !== value && !initial.includes(name))
            // A style of decay says nothing where there is none, and nothing comes back where it is the only one.
            .filter(([name, value]) => !(name === "decay" && value === row.options.decay?.default))
            .map(([name]) => `${row.name}: ${name}`)
        );
      } catch (error) {
        if (error instanceof OptimError && error.code === "invalid-option") return [];
        throw error;
      }
    });
    expect(lost).toEqual([]);
  });

  test("the rate of the next step stands beside the base rate, and the base rate comes back", () => {
    const { row, options } = adam({ lr: 0.1 });
    const group = toPyTorch(row.name, options, 0.05);
    expect(group.config).toMatchObject({ lr: 0.05, initial_lr: 0.1 });
    expect(fromPyTorchGroup(row.name, group).lr).toBe(0.1);
    expect(fromPyTorchGroup(row.name, { ...group, config: { lr: 0.3, foreach: null } }).lr).toBe(0.3);
  });

  test.each([
    [momentum({ form: "velocity" }), "form buffer"],
    [momentum({ form: "average" }), "form buffer"],
    [nesterov({ form: "velocity" }), "form buffer"],
    [momentum({ momentum: 0 }), "momentum above 0"],
    [nesterovLookahead(), "one of sgd"],
    [rmspropNesterov(), "one of sgd"],
    [adagrad({ epsInside: true }), "epsInside false"],
    [rmsprop({ epsInside: true }), "epsInside false"],
    [rmsprop({ biasCorrection: true }), "biasCorrection false"],
    [rmspropCentered({ epsInside: true }), "epsInside false"],
    [rmspropMomentum({ rateInside: true }), "rateInside false"],
    [rmspropMomentum({ biasCorrection: true }), "biasCorrection false"],
    [rmspropCenteredMomentum({ nesterov: true }), "nesterov false"],
    [adam({ epsHat: true }), "epsHat false"],
    [adamw({ epsRoot: 0.1 }), "epsRoot 0"],
    [amsgrad({ maximum: "corrected" }), "maximum raw"],
    [amsgrad({ epsHat: true }), "epsHat false"],
    [adamax({ epsOutside: true }), "epsOutside false"],
    [nadam({ form: "constant" }), "form scheduled"],
    [nadam({ epsHat: true }), "epsHat false"],
    [sgd({ decay: "decoupled", weightDecay: 0.1 }), "coupled weight decay"],
  ])("has none: %o", async ({ row, options }, part) => {
    await expectError(() => toPyTorch(row.name, options, options.lr), "invalid-option", part);
  });

  test("a group of another rule or with an unknown key is refused", async () => {
    const config = { lr: 0.1, betas: [0.9, 0.999], amsgrad: true };
    const wrong = (rule: string, optimizer: string, given: object) => () =>
      fromPyTorchGroup(rule, { optimizer, config: given as Record<string, unknown> });
    await expectError(wrong("adam", "Adam", config), "invalid-option", "amsgrad false, got true");
    await expectError(wrong("amsgrad", "Adam", { ...config, amsgrad: false }), "invalid-option", "amsgrad");
    await expectError(wrong("amsgrad", "Adamax", config), "invalid-option", "Adam or AdamW, got 'Adamax'");
    await expectError(wrong("sgd", "SGD", { lr: 1, momentum: 0.9 }), "invalid-option", "momentum 0, got 0.9");
    await expectError(wrong("nesterov", "SGD", { lr: 1, momentum: 0.9 }), "invalid-option", "nesterov true");
    await expectError(
      wrong("adam", "Adam", { ...config, amsgrad: false, beta3: 1 }),
      "invalid-option",
      "'beta3'",
    );
    await expectError(wrong("adam", "Adam", { lr: 1, betas: 0.9 }), "invalid-option", "two numbers");
  });
});

test("chunks hold items one after the other, cut where a chunk is full", () => {
  expect(packChunks([8, 4, 20, 0, 4], 14)).toEqual([
    {
      size: 12,
      pieces: [
        { item: 0, from: 0, to: 0, size: 8 },
        { item: 1, from: 0, to: 8, size: 4 },
      ],
    },
    { size: 12, pieces: [{ item: 2, from: 0, to: 0, size: 12 }] },
    {
      size: 12,
      pieces: [
        { item: 2, from: 12, to: 0, size: 8 },
        { item: 4, from: 0, to: 8, size: 4 },
      ],
    },
  ]);
  expect(packChunks([], 16)).toEqual([]);
  expect(packChunks([2 ** 27], 2 ** 40).map(({ size }) => size)).toEqual([2 ** 26, 2 ** 26]);
});
