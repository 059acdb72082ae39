import { describe, expect, test } from "vitest";
import { fromFramework } from "../../src/frameworks/index.js";
import { fromPyTorch } from "../../src/frameworks/pytorch.js";
import { fromTextbook } from "../../src/frameworks/textbook.js";
import { rules } from "../../src/kernels.js";
import { trajectories } from "../vectors/trajectories.js";

/** Rule and options that every configuration of the vectors means; options not named are the row's defaults. */
const meaning: Record<string, readonly [rule: string, options: Record<string, unknown>]> = {
  "pytorch/adadelta/default": ["adadelta", { lr: 1, rho: 0.9, eps: 1e-6 }],
  "pytorch/adadelta/rho": ["adadelta", { lr: 0.5, rho: 0.95, eps: 1e-6 }],
  "pytorch/adadelta/weight_decay": ["adadelta", { lr: 1, weightDecay: 0.1 }],
  "pytorch/adagrad/default": ["adagrad", { lr: 0.01, eps: 1e-10 }],
  "pytorch/adagrad/lr_decay": ["adagrad", { lr: 0.1, lrDecay: 0.05 }],
  "pytorch/adagrad/weight_decay": ["adagrad", { lr: 0.1, weightDecay: 0.1 }],
  "pytorch/adagrad/accumulator": ["adagrad", { lr: 0.1, initialAccumulatorValue: 0.1 }],
  "pytorch/adam/default": ["adam", { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 }],
  "pytorch/adam/betas": ["adam", { lr: 0.01, beta1: 0.8, beta2: 0.95 }],
  "pytorch/adam/amsgrad": ["amsgrad", { lr: 0.01 }],
  "pytorch/adam/weight_decay": ["adam", { lr: 0.01, weightDecay: 0.1 }],
  "pytorch/adam/maximize": ["adam", { lr: 0.01, maximize: true }],
  "pytorch/adamax/default": ["adamax", { lr: 2e-3, eps: 1e-8 }],
  "pytorch/adamax/betas": ["adamax", { lr: 0.01, beta1: 0.8, beta2: 0.95 }],
  "pytorch/adamw/default": ["adamw", { lr: 1e-3, weightDecay: 0.01, decay: "decoupled" }],
  "pytorch/adamw/decay": ["adamw", { lr: 0.01, weightDecay: 0.1, decay: "decoupled" }],
  "pytorch/adamw/amsgrad": ["amsgrad", { lr: 0.01, weightDecay: 0.1, decay: "decoupled" }],
  "pytorch/nadam/default": ["nadam", { lr: 2e-3, momentumDecay: 4e-3 }],
  "pytorch/nadam/momentum_decay": ["nadam", { lr: 0.01, momentumDecay: 0.02 }],
  "pytorch/nadam/weight_decay": ["nadam", { lr: 0.01, weightDecay: 0.1 }],
  "pytorch/rmsprop/default": ["rmsprop", { lr: 0.01, alpha: 0.99, eps: 1e-8 }],
  "pytorch/rmsprop/centered": ["rmsprop-centered", { lr: 0.01, eps: 1e-6 }],
  "pytorch/rmsprop/momentum": ["rmsprop-momentum", { lr: 0.01, momentum: 0.9 }],
  "pytorch/rmsprop/centered_momentum": [
    "rmsprop-centered-momentum",
    { lr: 0.01, momentum: 0.9, alpha: 0.95, eps: 1e-5 },
  ],
  "pytorch/rmsprop/weight_decay": ["rmsprop", { lr: 0.01, weightDecay: 0.1 }],
  "pytorch/sgd/plain": ["sgd", { lr: 0.01 }],
  "pytorch/sgd/weight_decay": ["sgd", { lr: 0.01, weightDecay: 0.1 }],
  "pytorch/sgd/momentum": ["momentum", { lr: 0.01, momentum: 0.9, dampening: 0, form: "buffer" }],
  "pytorch/sgd/dampening": ["momentum", { lr: 0.01, momentum: 0.9, dampening: 0.5 }],
  "pytorch/sgd/nesterov": ["nesterov", { lr: 0.01, momentum: 0.9, form: "buffer" }],
  "pytorch/sgd/maximize": ["momentum", { lr: 0.01, momentum: 0.9, weightDecay: 0.01, maximize: true }],
  "pytorch/radam/default": ["radam", { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, epsHat: true }],
  "pytorch/radam/betas": ["radam", { lr: 0.01, beta2: 0.9, threshold: 5 }],
  "pytorch/rprop/default": [
    "rprop",
    { lr: 0.01, etaMinus: 0.5, etaPlus: 1.2, stepSizeMin: 1e-6, stepSizeMax: 50 },
  ],
  "pytorch/rprop/etas": [
    "rprop",
    { lr: 0.02, etaMinus: 0.4, etaPlus: 1.3, stepSizeMin: 1e-4, stepSizeMax: 1 },
  ],
  "pytorch/asgd/default": ["asgd", { lr: 0.01, lambd: 1e-4, alpha: 0.75, t0: 1e6 }],
  "pytorch/asgd/averaging": ["asgd", { lr: 0.05, lambd: 1e-3, t0: 5 }],
  "textbook/gradient-descent": ["sgd", { lr: 0.05 }],
  "textbook/momentum": ["momentum", { lr: 0.02, momentum: 0.9, form: "velocity" }],
  "textbook/nesterov": ["nesterov-lookahead", { lr: 0.02, momentum: 0.9 }],
  "textbook/ema-momentum": ["momentum", { lr: 0.05, momentum: 0.9, form: "average" }],
  "textbook/adagrad": ["adagrad", { lr: 0.1, eps: 1e-7, epsInside: false }],
  "textbook/adagrad-eps-inside": ["adagrad", { lr: 0.1, eps: 1e-8, epsInside: true }],
  "textbook/rmsprop": ["rmsprop", { lr: 0.01, alpha: 0.9, eps: 1e-6, epsInside: true }],
  "textbook/rmsprop-nesterov": ["rmsprop-nesterov", { lr: 0.005, rho: 0.9, momentum: 0.9 }],
  "textbook/adadelta": ["adadelta", { lr: 1, rho: 0.95, eps: 1e-6 }],
  "textbook/adam": ["adam", { lr: 0.01, eps: 1e-6 }],
  "textbook/adamax": ["adamax", { lr: 0.01, eps: 0 }],
  "textbook/angd-1e-06": ["angd", { lr: 0.05, delta: 1e-6, outputs: 1 }],
  "textbook/angd-0.02": ["angd", { lr: 0.05, delta: 0.02, outputs: 1 }],
  "textbook/nadam": ["nadam", { lr: 0.01, eps: 1e-6, momentumDecay: 4e-3 }],
};

const defaultsOf = (rule: string) => rules.find(({ row }) => row.name === rule)!().options;

/** What the other frameworks mean is told by their vectors. */
const named = trajectories.filter(({ framework }) => ["pytorch", "textbook"].includes(framework));

describe("a configuration of the vectors means", () => {
  test("every one of them is listed", () => {
    expect(Object.keys(meaning).sort()).toEqual(named.map(({ id }) => id).sort());
  });
  test.each(named.map((run) => [run.id, run] as const))("%s", (id, { framework, optimizer, config }) => {
    const [name, options] = meaning[id]!;
    const rule = fromFramework(framework, optimizer, config);
    expect(rule.row.name).toBe(name);
    expect(rule.options).toEqual({ ...defaultsOf(name), ...options });
  });
});

describe("defaults", () => {
  test.each([
    ["SGD", "sgd", { lr: 1e-3 }],
    ["Adagrad", "adagrad", { lr: 1e-2, eps: 1e-10 }],
    ["RMSprop", "rmsprop", { lr: 1e-2, alpha: 0.99, eps: 1e-8, epsInside: false }],
    ["Adadelta", "adadelta", { lr: 1, rho: 0.9, eps: 1e-6 }],
    ["Adam", "adam", { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 }],
    ["AdamW", "adamw", { lr: 1e-3, weightDecay: 1e-2, decay: "decoupled" }],
    ["Adamax", "adamax", { lr: 2e-3, eps: 1e-8 }],
    ["NAdam", "nadam", { lr: 2e-3, eps: 1e-8, momentumDecay: 4e-3 }],
    ["RAdam", "radam", { lr: 1e-3, eps: 1e-8, epsHat: true, threshold: 5 }],
    ["Rprop", "rprop", { lr: 1e-2, etaMinus: 0.5, etaPlus: 1.2, stepSizeMin: 1e-6, stepSizeMax: 50 }],
    ["ASGD", "asgd", { lr: 1e-2, lambd: 1e-4, alpha: 0.75, t0: 1e6 }],
    ["Adafactor", "adafactor", { lr: 1e-2, decayRate: 0.8, eps1: 2 ** -23, eps2: 1e-3, decay: "decoupled" }],
    ["LBFGS", "lbfgs", { lr: 1, historySize: 100 }],
    ["Muon", "muon", { lr: 1e-3, weightDecay: 0.1, form: "average", eps: 1e-7, scaling: "original" }],
  ])("of PyTorch's %s", (name, rule, options) => {
    const made = fromPyTorch(name);
    expect(made.row.name).toBe(rule);
    expect(made.options).toEqual({ ...defaultsOf(rule), ...options });
    expect(made.options.weightDecay).toBe({ AdamW: 1e-2, Muon: 0.1 }[name] ?? 0);
  });

  test.each([
    ["adagrad", { eps: 1e-7 }],
    ["adagrad-eps-inside", { eps: 1e-8 }],
    ["rmsprop", { eps: 1e-6 }],
    ["adam", { eps: 1e-6 }],
    ["adamax", { eps: 0 }],
  ])("of the textbook's %s", (name, options) => {
    expect(fromTextbook(name, { lr: 0.25 }).options).toMatchObject({ lr: 0.25, ...options });
  });

  test("Adadelta of the textbook has no rate to give", () => {
    expect(fromTextbook("adadelta").options).toMatchObject({ lr: 1, rho: 0.95, eps: 1e-6 });
    expect(() => fromTextbook("adadelta", { lr: 0.1 })).toThrow(/no key 'lr'.*one of rho, eps/);
  });
});

test("decoupled_weight_decay makes PyTorch's Adam, NAdam and RAdam decoupled", () => {
  const config = { weight_decay: 0.1, decoupled_weight_decay: true };
  for (const name of ["Adam", "NAdam", "RAdam"])
    expect(fromPyTorch(name, config).options).toMatchObject({ weightDecay: 0.1, decay: "decoupled" });
});

test("keys of several numbers, and of names, are taken as they are and refused where they are ill-typed", () => {
  const config = { ns_coefficients: [3, -4, 2], adjust_lr_fn: "match_rms_adamw" };
  expect(fromPyTorch("Muon", config).options).toMatchObject({
    a: 3,
    b: -4,
    c: 2,
    scaling: "match_rms_adamw",
  });
  expect(fromPyTorch("Muon", { adjust_lr_fn: null }).options.scaling).toBe("original");
  for (const wrong of [{ ns_coefficients: [3, -4] }, { ns_coefficients: 3 }, { adjust_lr_fn: "optax" }])
    expect(() => fromPyTorch("Muon", wrong)).toThrow(/ill-typed.*(3 numbers|'original', 'match_rms_adamw')/);
});

test("keys that choose an implementation are ignored", () => {
  const config = { foreach: null, fused: true, capturable: false, differentiable: false };
  expect(fromPyTorch("Adam", config)).toEqual(fromPyTorch("Adam"));
});

describe("errors", () => {
  const invalid = (pattern: RegExp) =>
    expect.objectContaining({ code: "invalid-option", message: expect.stringMatching(pattern) });
  const unknown = (pattern: RegExp) =>
    expect.objectContaining({ code: "unknown-name", message: expect.stringMatching(pattern) });

  test("unknown names", () => {
    expect(() => fromFramework("caffe", "SGD")).toThrow(
      unknown(/'caffe'.*one of pytorch, keras, tensorflow1, optax, textbook/),
    );
    expect(() => fromFramework("toString", "SGD")).toThrow(unknown(/'toString'/));
    expect(() => fromPyTorch("adam")).toThrow(unknown(/no optimizer 'adam'.*SGD, .*Adam, AdamW/));
    expect(() => fromTextbook("Adam")).toThrow(unknown(/'Adam'.*gradient-descent/));
    expect(() => fromPyTorch("constructor")).toThrow(unknown(/'constructor'/));
  });

  test("unknown, missing and ill-typed keys", () => {
    expect(() => fromPyTorch("Adam", { beta1: 0.9 })).toThrow(
      invalid(/no key 'beta1'.*one of lr, betas, eps/),
    );
    expect(() => fromPyTorch("SGD", { valueOf: 1 })).toThrow(invalid(/no key 'valueOf'/));
    expect(() => fromTextbook("momentum", { momentum: 0.9 })).toThrow(invalid(/needs 'lr'/));
    expect(() => fromTextbook("adam")).toThrow(invalid(/needs 'lr'/));
    expect(() => fromPyTorch("Adam", { lr: "1e-3" })).toThrow(invalid(/'lr'.*a finite number, got '1e-3'/));
    expect(() => fromPyTorch("Adam", { lr: undefined })).toThrow(invalid(/'lr'.*got nothing/));
    expect(() => fromPyTorch("Adam", { lr: Number.NaN })).toThrow(invalid(/'lr'.*got NaN/));
    expect(() => fromPyTorch("Adam", { amsgrad: 1 })).toThrow(invalid(/'amsgrad'.*true or false/));
    expect(() => fromTextbook("adam", { lr: true })).toThrow(invalid(/'lr'.*a finite number, got true/));
    for (const betas of [0.9, [0.9], [0.9, 0.99, 0.999], [0.9, "0.999"], { 0: 0.9, 1: 0.999 }])
      expect(() => fromPyTorch("Adam", { betas })).toThrow(invalid(/'betas'.*a pair of numbers/));
    expect(() => fromPyTorch("Adam", { fused: "yes" })).toThrow(invalid(/'fused'.*true, false or null/));
    expect(() => fromPyTorch("Adam", JSON.parse("null"))).toThrow(invalid(/not an object/));
    expect(() => fromPyTorch("Adam", [1e-3])).toThrow(invalid(/not an object.*got \[0\.001\]/));
  });

  test("values out of range", () => {
    expect(() => fromPyTorch("SGD", { lr: -1 })).toThrow(invalid(/'lr'/));
    expect(() => fromPyTorch("SGD", { momentum: -0.5 })).toThrow(invalid(/'momentum'/));
    expect(() => fromPyTorch("RMSprop", { momentum: -0.5 })).toThrow(invalid(/'momentum'/));
    expect(() => fromPyTorch("AdamW", { betas: [0.9, 1] })).toThrow(invalid(/'beta2'/));
  });

  test("Nesterov in PyTorch needs momentum and no dampening", () => {
    expect(() => fromPyTorch("SGD", { nesterov: true })).toThrow(invalid(/momentum > 0 and dampening = 0/));
    const dampened = { nesterov: true, momentum: 0.9, dampening: 0.1 };
    expect(() => fromPyTorch("SGD", dampened)).toThrow(invalid(/got {"momentum":0\.9,"dampening":0\.1}/));
    expect(fromPyTorch("SGD", { nesterov: true, momentum: 0.9 }).row.name).toBe("nesterov");
  });
});
