// Keras, TensorFlow 1 and optax: names, defaults, what is refused, and the serialized form of Keras.
import { describe, expect, test } from "vitest";
import {
  frameworks,
  fromFramework,
  fromKeras,
  fromOptax,
  fromTensorFlow1,
  type KerasObject,
  rules,
} from "../../src/index.js";
import { expectError } from "../support/errors.js";

const invalid = (pattern: RegExp) =>
  expect.objectContaining({ code: "invalid-option", message: expect.stringMatching(pattern) });
const unknown = (pattern: RegExp) =>
  expect.objectContaining({ code: "unknown-name", message: expect.stringMatching(pattern) });

const defaultsOf = (rule: string) => rules.find(({ row }) => row.name === rule)!().options;

const lr = 0.25;
const learning_rate = lr;
/** Defaults as the frameworks document them. What is not named is the rule's own default. */
const documented: readonly (readonly [string, string, object, string, object])[] = [
  ["keras", "SGD", {}, "sgd", { lr: 0.01, decay: "decoupled" }],
  ["keras", "Adagrad", {}, "adagrad", { lr: 1e-3, initialAccumulatorValue: 0.1, eps: 1e-7, epsInside: true }],
  ["keras", "RMSprop", {}, "rmsprop", { lr: 1e-3, alpha: 0.9, eps: 1e-7, epsInside: true }],
  ["keras", "Adadelta", {}, "adadelta", { lr: 1e-3, rho: 0.95, eps: 1e-7 }],
  ["keras", "Adam", {}, "adam", { lr: 1e-3, eps: 1e-7, epsHat: true }],
  ["keras", "AdamW", {}, "adamw", { lr: 1e-3, eps: 1e-7, epsHat: true, weightDecay: 4e-3 }],
  ["keras", "Adamax", {}, "adamax", { lr: 1e-3, eps: 1e-7, epsOutside: true }],
  ["keras", "Nadam", {}, "nadam", { lr: 1e-3, eps: 1e-7, momentumDecay: 1 }],
  ["keras", "Lion", {}, "lion", { lr: 1e-3, beta1: 0.9, beta2: 0.99 }],
  ["keras", "Lamb", {}, "lamb", { lr: 1e-3, eps: 1e-7, decayFirst: true }],
  ["keras", "Adafactor", {}, "adafactor", { lr: 1e-3, eps1: 1e-30, eps1Form: "added" }],
  [
    "keras",
    "Muon",
    {},
    "muon",
    { lr: 1e-3, weightDecay: 0.1, form: "sum", steps: 6, eps: 1e-7, epsFloor: false, decay: "decoupled" },
  ],
  ["keras", "Ftrl", {}, "ftrl", { lr: 1e-3, initialAccumulatorValue: 0.1, form: "keras", decay: "coupled" }],
  ["tensorflow1", "GradientDescent", { learning_rate }, "sgd", { lr }],
  ["tensorflow1", "Momentum", { learning_rate, momentum: 0.5 }, "momentum", { lr, momentum: 0.5 }],
  ["tensorflow1", "Adagrad", { learning_rate }, "adagrad", { lr, initialAccumulatorValue: 0.1, eps: 0 }],
  [
    "tensorflow1",
    "RMSProp",
    { learning_rate },
    "rmsprop",
    { lr, alpha: 0.9, eps: 1e-10, epsInside: true, initialSquareAvg: 1 },
  ],
  ["tensorflow1", "Adadelta", {}, "adadelta", { lr: 1e-3, rho: 0.95, eps: 1e-8 }],
  ["tensorflow1", "Adam", {}, "adam", { lr: 1e-3, eps: 1e-8, epsHat: true }],
  ["tensorflow1", "AdaMax", {}, "adamax", { lr: 1e-3, eps: 1e-8, epsOutside: true }],
  ["tensorflow1", "Nadam", {}, "nadam", { lr: 1e-3, eps: 1e-8, epsHat: true, form: "shared" }],
  [
    "tensorflow1",
    "Ftrl",
    { learning_rate },
    "ftrl",
    {
      lr,
      learningRatePower: -0.5,
      initialAccumulatorValue: 0.1,
      l1: 0,
      l2: 0,
      l2Shrinkage: 0,
      form: "keras",
    },
  ],
  ["optax", "sgd", { learning_rate }, "sgd", { lr }],
  [
    "optax",
    "adagrad",
    { learning_rate },
    "adagrad",
    { lr, initialAccumulatorValue: 0.1, eps: 1e-7, epsInside: true },
  ],
  ["optax", "rmsprop", { learning_rate }, "rmsprop", { lr, alpha: 0.9, eps: 1e-8, epsInside: true }],
  ["optax", "adadelta", { learning_rate }, "adadelta", { lr, rho: 0.9, eps: 1e-6 }],
  ["optax", "adam", { learning_rate }, "adam", { lr, eps: 1e-8 }],
  ["optax", "nadam", { learning_rate }, "nadam", { lr, eps: 1e-8, form: "constant", decay: "decoupled" }],
  ["optax", "adamw", { learning_rate }, "adamw", { lr, eps: 1e-8, weightDecay: 1e-4 }],
  [
    "optax",
    "nadamw",
    { learning_rate },
    "nadam",
    { lr, form: "constant", weightDecay: 1e-4, decay: "decoupled" },
  ],
  ["optax", "amsgrad", { learning_rate }, "amsgrad", { lr, eps: 1e-8, maximum: "corrected" }],
  ["optax", "adamax", { learning_rate }, "adamax", { lr, eps: 1e-8 }],
  ["optax", "adamaxw", { learning_rate }, "adamax", { lr, eps: 1e-8, weightDecay: 1e-4, decay: "decoupled" }],
  ["optax", "radam", { learning_rate }, "radam", { lr, eps: 1e-8, threshold: 5, epsHat: false }],
  ["optax", "lion", { learning_rate }, "lion", { lr, beta2: 0.99, weightDecay: 1e-3 }],
  ["optax", "noisy_sgd", { learning_rate }, "noisy-sgd", { lr, eta: 0.01, gamma: 0.55, seed: 0 }],
  ["optax", "sign_sgd", { learning_rate }, "sign-sgd", { lr }],
  ["optax", "signum", { learning_rate }, "signum", { lr, momentum: 0.9 }],
  [
    "optax",
    "adafactor",
    {},
    "adafactor",
    {
      lr: 1,
      relativeStep: false,
      eps1: 1e-30,
      eps1Form: "added",
      factored: "largest",
      minDimension: 128,
      decay: "independent",
    },
  ],
  ["optax", "sm3", { learning_rate }, "sm3", { lr, momentum: 0.9, eps: 1e-8 }],
  ["optax", "adabelief", { learning_rate }, "adabelief", { lr, eps: 1e-16, epsRoot: 1e-16 }],
  [
    "optax",
    "yogi",
    { learning_rate },
    "yogi",
    { lr, eps: 1e-3, biasCorrection: true, initialAccumulatorValue: 1e-6, initialExpAvg: 1e-6 },
  ],
  [
    "optax",
    "adan",
    { learning_rate },
    "adan",
    {
      lr,
      beta1: 0.98,
      beta2: 0.92,
      beta3: 0.99,
      epsRoot: 1e-8,
      decay: "decoupled",
      differenceWeight: "one-minus-beta2",
    },
  ],
  ["optax", "novograd", { learning_rate }, "novograd", { lr, beta1: 0.9, beta2: 0.25, eps: 1e-6 }],
  ["optax", "lars", { learning_rate }, "lars", { lr, trustCoefficient: 1e-3, eps: 0, decay: "coupled" }],
  ["optax", "lamb", { learning_rate }, "lamb", { lr, eps: 1e-6 }],
  ["optax", "fromage", { learning_rate }, "fromage", { lr, minNorm: 1e-6 }],
  [
    "optax",
    "muon",
    { learning_rate },
    "muon",
    { lr, weightDecay: 0, eps: 1e-8, epsFloor: false, biasCorrection: true, scaling: "optax" },
  ],
  ["optax", "ademamix", { learning_rate }, "ademamix", { lr, beta3: 0.9999, alpha: 5, eps: 1e-8 }],
  ["optax", "optimistic_gradient_descent", { learning_rate }, "optimistic-sgd", { lr, alpha: 1, beta: 1 }],
  ["optax", "optimistic_adam", { learning_rate }, "optimistic-adam", { lr, beta: 1, nesterov: true }],
  ["optax", "optimistic_adam_v2", { learning_rate }, "optimistic-adam", { lr, beta: 1, nesterov: true }],
  ["optax", "schedule_free_sgd", {}, "schedule-free-sgd", { lr: 1, momentum: 0.9 }],
  [
    "optax",
    "schedule_free_adamw",
    {},
    "schedule-free-adamw",
    { lr: 2.5e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, correctedRate: false },
  ],
  ["optax", "rprop", { learning_rate }, "rprop", { lr, delayed: true }],
  [
    "optax",
    "sophia",
    { learning_rate },
    "sophia",
    { lr, beta1: 0.965, beta2: 0.99, eps: 1e-8, gamma: 0.01, weightDecay: 1e-4, biasCorrection: true },
  ],
  ["optax", "polyak_sgd", {}, "polyak-sgd", { lr: 1, maxRate: 1, scale: 1, leastSquare: 2 ** -52 }],
  ["optax", "prodigy", {}, "prodigy", { lr: 1, d0: 1e-6, biasCorrection: true, newDistance: true }],
];

describe("defaults", () => {
  test("of every optimizer are listed", () => {
    for (const framework of ["keras", "tensorflow1", "optax"])
      expect(
        documented
          .filter(([of]) => of === framework)
          .map(([, name]) => name)
          .sort(),
      ).toEqual(Object.keys(frameworks[framework]!.optimizers).sort());
  });
  test.each(documented)("%s %s", (framework, name, config, rule, options) => {
    const made = fromFramework(framework, name, config);
    expect(made.row.name).toBe(rule);
    const decay = framework === "keras" && name !== "Ftrl" ? { decay: "decoupled" } : {};
    expect(made.options).toEqual({ ...defaultsOf(rule), ...decay, ...options });
  });
});

describe("spellings", () => {
  test("TensorFlow 1 with the class's name", () => {
    expect(fromTensorFlow1("AdamOptimizer", {})).toEqual(fromTensorFlow1("Adam"));
    expect(() => fromTensorFlow1("Optimizer")).toThrow(unknown(/'Optimizer'/));
  });
  test("Keras in any case, as keras.optimizers.get takes them", () => {
    expect(fromFramework("keras", "rmsprop")).toEqual(fromFramework("keras", "RMSprop"));
  });
  test("optax as it is", () => {
    expect(fromOptax("contrib.ademamix", { learning_rate })).toEqual(
      fromOptax("ademamix", { learning_rate }),
    );
    expect(() => fromOptax("Adam", { learning_rate })).toThrow(unknown(/'Adam'.*one of sgd, adagrad/));
    const refused = "lbfgs";
    for (const name of refused.split(" "))
      expect(() => fromOptax(name, { learning_rate })).toThrow(unknown(new RegExp(`'${name}'`)));
  });
});

describe("which rule", () => {
  test.each([
    ["keras", "SGD", { momentum: 0.9 }, "momentum", { form: "velocity" }],
    ["keras", "SGD", { momentum: 0.9, nesterov: true }, "nesterov", { form: "velocity" }],
    ["keras", "SGD", { nesterov: true, weight_decay: 0.1 }, "sgd", { weightDecay: 0.1, decay: "decoupled" }],
    ["keras", "RMSprop", { centered: true }, "rmsprop-centered", {}],
    ["keras", "RMSprop", { momentum: 0.5 }, "rmsprop-momentum", { momentum: 0.5, rateInside: true }],
    [
      "keras",
      "RMSprop",
      { momentum: 0.5, centered: true },
      "rmsprop-centered-momentum",
      { rateInside: true },
    ],
    ["keras", "Adam", { amsgrad: true }, "amsgrad", { maximum: "raw", epsHat: true }],
    ["keras", "AdamW", { amsgrad: true }, "amsgrad", { weightDecay: 4e-3, decay: "decoupled" }],
    [
      "tensorflow1",
      "RMSProp",
      { learning_rate, centered: true },
      "rmsprop-centered",
      { initialSquareAvg: 1 },
    ],
    ["tensorflow1", "RMSProp", { learning_rate, momentum: 0.5 }, "rmsprop-momentum", { rateInside: true }],
    ["optax", "optimistic_adam", { learning_rate, optimism: 2 }, "optimistic-adam", { beta: 8 }],
    [
      "optax",
      "optimistic_adam_v2",
      { learning_rate, alpha: 3, beta: 2 },
      "optimistic-adam",
      { alpha: 3, beta: 2 },
    ],
    [
      "optax",
      "polyak_sgd",
      { max_learning_rate: 3, scaling: 0.5, f_min: -1, eps: 2, variant: "sps+" },
      "polyak-sgd",
      { lr: 0.5, maxRate: 3, scale: 4, minimum: -1, eps: 8, leastSquare: 2 ** -50, variant: "sps+" },
    ],
    ["optax", "sgd", { learning_rate, momentum: 0 }, "momentum", { momentum: 0 }],
    ["optax", "sgd", { learning_rate, nesterov: true }, "sgd", {}],
    ["optax", "adam", { learning_rate, nesterov: true }, "nadam", { form: "constant", weightDecay: 0 }],
    ["optax", "adamw", { learning_rate, nesterov: true }, "nadam", { weightDecay: 1e-4, decay: "decoupled" }],
    ["optax", "rmsprop", { learning_rate, bias_correction: true }, "rmsprop", { biasCorrection: true }],
    [
      "optax",
      "rmsprop",
      { learning_rate, momentum: 0.9, centered: true, nesterov: true, initial_scale: 1, eps_in_sqrt: false },
      "rmsprop-centered-momentum",
      { nesterov: true, rateInside: true, initialSquareAvg: 1, epsInside: false },
    ],
  ])("%s %s %o", (framework, name, config, rule, options) => {
    const made = fromFramework(framework, name, config);
    expect(made.row.name).toBe(rule);
    expect(made.options).toMatchObject(options);
  });
});

describe("what changes no result is passed over, and nothing else", () => {
  test("TensorFlow 1", () => {
    const plain = fromTensorFlow1("Adam");
    expect(fromTensorFlow1("Adam", { use_locking: true, name: "Adam" })).toEqual(plain);
    expect(() => fromTensorFlow1("Adam", { use_locking: 1 })).toThrow(
      invalid(/'use_locking'.*true or false/),
    );
    expect(() => fromTensorFlow1("Adam", { beta_1: 0.9 })).toThrow(invalid(/no key 'beta_1'/));
    expect(() => fromTensorFlow1("Momentum", { learning_rate })).toThrow(invalid(/needs 'momentum'/));
  });
  test("optax", () => {
    const plain = fromOptax("adamw", { learning_rate });
    expect(fromOptax("adamw", { learning_rate, mask: null, mu_dtype: "float32" })).toEqual(plain);
    expect(() => fromOptax("adamw", { learning_rate, mu_dtype: "bfloat16" })).toThrow(
      invalid(/'mu_dtype' of optax's adamw cannot be carried out.*null or float32, got 'bfloat16'/),
    );
    expect(() => fromOptax("adamw", { learning_rate, mask: {} })).toThrow(invalid(/'mask'.*expected null/));
    expect(() => fromOptax("adam", { learning_rate, mask: null })).toThrow(invalid(/no key 'mask'/));
    expect(() => fromOptax("nadam", { learning_rate, nesterov: false })).toThrow(invalid(/'nesterov'.*true/));
    expect(() => fromOptax("amsgrad", { learning_rate, bias_correction_nu: false })).toThrow(
      invalid(/'bias_correction_nu'.*expected true/),
    );
    expect(() => fromOptax("rmsprop", { learning_rate, centered: true, bias_correction: true })).toThrow(
      invalid(/'bias_correction'.*'centered'/),
    );
    expect(() => fromOptax("radam", { learning_rate, eps_root: 1e-8 })).toThrow(
      invalid(/'eps_root'.*expected 0, got 1e-8/),
    );
    expect(() => fromOptax("schedule_free_sgd", { warmup_steps: 10 })).toThrow(
      invalid(/'warmup_steps'.*null/),
    );
    expect(() => fromOptax("sophia", { learning_rate, hessian_diagonal_fn: {} })).toThrow(
      invalid(/'hessian_diagonal_fn'.*null/),
    );
    expect(() => fromOptax("sophia", { learning_rate, clip_threshold: null })).toThrow(
      invalid(/'clip_threshold'.*a finite number/),
    );
    expect(() => fromOptax("optimistic_adam", { learning_rate: 0, optimism: 1 })).toThrow(
      invalid(/'learning_rate'.*'optimism'.*a rate above 0/),
    );
    expect(() => fromOptax("rprop", { learning_rate: 100 })).toThrow(
      invalid(/'learning_rate'.*from min_step_size 0\.000001 to max_step_size 50, got 100/),
    );
    expect(() => fromOptax("polyak_sgd", { scaling: 0 })).toThrow(invalid(/'scaling'.*above 0/));
    expect(() => fromOptax("polyak_sgd", { variant: "SPS" })).toThrow(
      invalid(/'variant'.*one of 'sps', 'sps\+/),
    );
    expect(() => fromOptax("prodigy", { beta3: 0 })).toThrow(invalid(/'beta3'.*above 0/));
    expect(() => fromOptax("adam")).toThrow(invalid(/needs 'learning_rate'/));
    expect(() => fromOptax("adam", { learning_rate: () => 1 })).toThrow(invalid(/'learning_rate'.*a finite/));
    expect(() => fromOptax("sgd", { learning_rate, momentum: "0.9" })).toThrow(
      invalid(/'momentum'.*a finite number or null/),
    );
  });
  test("Keras's keys around the rule belong to fromKeras", () => {
    const config = { clipnorm: null, use_ema: false, ema_momentum: 0.5, name: "adam" };
    expect(fromFramework("keras", "Adam", config)).toEqual(fromFramework("keras", "Adam"));
    expect(() => fromFramework("keras", "Adam", { clipnorm: 1 })).toThrow(invalid(/'clipnorm'.*null, got 1/));
    expect(() => fromFramework("keras", "Adam", { use_ema: true })).toThrow(invalid(/'use_ema'.*false/));
    expect(() => fromFramework("keras", "Ftrl", { weight_decay: 0.1 })).toThrow(
      invalid(/'weight_decay'.*null/),
    );
  });
});

describe("a serialized optimizer of Keras", () => {
  /** All keys of `keras.optimizers.serialize(keras.optimizers.Adam())`. */
  const config = {
    name: "adam",
    learning_rate: 0.0010000000474974513,
    weight_decay: null,
    clipnorm: null,
    global_clipnorm: null,
    clipvalue: null,
    use_ema: false,
    ema_momentum: 0.99,
    ema_overwrite_frequency: null,
    loss_scale_factor: null,
    gradient_accumulation_steps: null,
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1e-7,
    amsgrad: false,
  };
  const serialized = (changes: object = {}): KerasObject => ({
    module: "keras.optimizers",
    class_name: "Adam",
    config: { ...config, ...changes },
    registered_name: null,
  });
  const guards = { clipFormula: "optax", nonFinite: "keep" };

  test("plain", () => {
    const rule = fromFramework("keras", "Adam", { learning_rate: config.learning_rate });
    expect(fromKeras(serialized())).toEqual({ rule });
  });

  test.each([
    [{ clipnorm: 0.5 }, { guards: { ...guards, clipNorm: 0.5 } }],
    [{ clipvalue: 0.5 }, { guards: { ...guards, clipValue: 0.5 } }],
    [{ global_clipnorm: 0.5 }, { guards: { ...guards, clipGlobalNorm: 0.5 } }],
    [{ clipnorm: 0 }, {}],
    [{ loss_scale_factor: 8 }, { guards: { ...guards, lossScale: 8 } }],
    [{ loss_scale_factor: 8, clipnorm: 1 }, { guards: { ...guards, lossScale: 8, clipNorm: 1 } }],
    [{ use_ema: true }, { average: { decay: 0.99 } }],
    [{ use_ema: true, ema_momentum: 0.5 }, { average: { decay: 0.5 } }],
    [{ gradient_accumulation_steps: 4 }, { accumulation: true }],
  ])("%o", (changes, expected) => {
    const { rule } = fromKeras(serialized());
    expect(fromKeras(serialized(changes))).toEqual({ rule, ...expected });
  });

  /** As `keras.optimizers.schedules.serialize` writes it. */
  const cosine = {
    module: "keras.optimizers.schedules",
    class_name: "CosineDecay",
    config: {
      initial_learning_rate: 0,
      decay_steps: 100,
      alpha: 0.1,
      name: "CosineDecay",
      warmup_target: 0.5,
      warmup_steps: 10,
    },
    registered_name: null,
  };

  test("a schedule", () => {
    const { rule, schedule, ...others } = fromKeras(serialized({ learning_rate: cosine, weight_decay: 0.1 }));
    expect(others).toEqual({});
    expect(rule.options).toMatchObject({ lr: 0.5, weightDecay: 0.1 });
    // The decay counts from the end of the warm-up: half-way between 0.5 and 0.05 at step 60.
    for (const [step, rate] of [
      [0, 0],
      [5, 0.25],
      [10, 0.5],
      [60, 0.275],
      [110, 0.05],
      [1000, 0.05],
    ] as const)
      expect(rule.options.lr * schedule!(step)).toBeCloseTo(rate, 12);
  });

  test("refuses wrong schedules, and schedules that count micro-batches", async () => {
    const of =
      (learning_rate: unknown, changes: object = {}) =>
      () =>
        fromKeras(serialized({ learning_rate, ...changes }));
    await expectError(of({ ...cosine, class_name: "Noam" }), "unknown-name", "'Noam'");
    await expectError(of({ ...cosine, config: {} }), "invalid-schedule", "initial_learning_rate");
    await expectError(of({ rate: 1 }), "invalid-schedule", "no serialized Keras schedule");
    await expectError(
      of(cosine, { gradient_accumulation_steps: 2 }),
      "invalid-option",
      "'learning_rate' of Keras's Adam cannot be carried out",
    );
  });

  test("LossScaleOptimizer", () => {
    const scaled = fromKeras({
      class_name: "LossScaleOptimizer",
      config: { name: "loss_scale", inner_optimizer: serialized({ clipnorm: 1 }), initial_scale: 16 },
    });
    expect(scaled).toEqual({
      rule: fromKeras(serialized()).rule,
      guards: {
        clipFormula: "optax",
        clipNorm: 1,
        nonFinite: "skip",
        lossScale: {
          initial: 16,
          growth: 2,
          backoff: 0.5,
          interval: 2000,
          min: 2 ** -126,
          max: 2 ** 126,
        },
      },
    });
  });

  test.each([
    [{ clipnorm: 1, clipvalue: 1 }, /'clipnorm'.*one kind of clipping/],
    [{ clipnorm: "1" }, /'clipnorm'.*a finite number or null, got '1'/],
    [{ use_ema: 1 }, /'use_ema'.*true or false/],
    [{ use_ema: true, ema_overwrite_frequency: 3 }, /'ema_overwrite_frequency'.*swapAverage/],
    [{ use_ema: true, gradient_accumulation_steps: 2 }, /'gradient_accumulation_steps'.*use_ema/],
    [{ jit_compile: true }, /no key 'jit_compile'/],
    [{ beta_1: 1 }, /'beta1'/],
    [{ learning_rate: null }, /'learning_rate'/],
    [{ weight_decay: "0.1" }, /'weight_decay'.*a finite number or null/],
  ])("refuses %o", (changes, pattern) => {
    expect(() => fromKeras(serialized(changes))).toThrow(invalid(pattern));
  });

  test("refuses other classes and other objects", async () => {
    for (const class_name of ["Adafactors", "Ademamix", "toString"])
      expect(() => fromKeras({ class_name, config: {} })).toThrow(unknown(new RegExp(`'${class_name}'`)));
    const wrong: readonly [unknown, string][] = [
      [null, "{ class_name, config }"],
      [[], "{ class_name, config }"],
      [{ config: {} }, "class_name, a text"],
      [{ class_name: "Adam" }, "config, an object"],
      [{ class_name: "Adam", config: [] }, "config, an object"],
      [{ class_name: "Adam", config: {}, clipnorm: 1 }, "'clipnorm'"],
      [{ class_name: "Adam", config: {}, module: "my.own" }, "a module of keras, got 'my.own'"],
      [{ class_name: "Adam", config: {}, module: null }, "a module of keras"],
      [{ class_name: "Adam", config: {}, registered_name: "mine>Adam" }, "got 'mine>Adam'"],
    ];
    for (const [object, part] of wrong)
      await expectError(() => fromKeras(object as KerasObject), "invalid-argument", part);
  });

  test("refuses what a LossScaleOptimizer cannot have", async () => {
    const outer = (changes: object) => () =>
      fromKeras({ class_name: "LossScaleOptimizer", config: { inner_optimizer: serialized(), ...changes } });
    await expectError(outer({ clipnorm: 1 }), "invalid-option", "'clipnorm'");
    await expectError(outer({ dynamic: false }), "invalid-option", "'dynamic'");
    await expectError(outer({ initial_scale: "1" }), "invalid-option", "'initial_scale'");
    await expectError(outer({ inner_optimizer: null }), "invalid-argument", "no serialized optimizer");
    await expectError(
      outer({ inner_optimizer: serialized({ loss_scale_factor: 2 }) }),
      "invalid-option",
      "'loss_scale_factor'",
    );
    expect(outer({ use_ema: false, ema_momentum: 0.99, clipnorm: null })()).toEqual(outer({})());
  });
});
