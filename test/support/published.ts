// What every published case means here, and which are left out and why.
import {
  adabelief,
  adabeliefAmsgrad,
  adagrad,
  adam,
  adamw,
  fromKeras,
  fromTensorFlow1,
  type KerasOptimizer,
  lamb,
  momentum,
  nesterov,
  novograd,
  type OptimizerOptions,
  type Rule,
  radam,
  radamAmsgrad,
  rmsprop,
  rmspropCentered,
  rmspropMomentum,
  sgd,
  yogi,
} from "../../src/index.js";
import { published } from "../vectors/published.js";

/** A run of the engine: from the initial parameters along the gradients. */
export interface PublishedRun extends Pick<OptimizerOptions, "slowWeights"> {
  readonly rule: Rule;
  /** Hyperparameters of step t, where they change. */
  readonly at?: (t: number) => Readonly<Record<string, number>>;
}

/** A Keras case, through the form in which Keras serializes. */
const kerasRun = (class_name: string, config: object): KerasOptimizer =>
  fromKeras({ class_name, config, module: "keras.optimizers", registered_name: null });

const KERAS_NAMES: Readonly<Record<string, string>> = {
  sgd: "SGD",
  adagrad: "Adagrad",
  rmsprop: "RMSprop",
  adadelta: "Adadelta",
  adam: "Adam",
  adamw: "AdamW",
  adamax: "Adamax",
  nadam: "Nadam",
  lion: "Lion",
  ftrl: "Ftrl",
};

const config = (id: string, ...without: readonly string[]) =>
  Object.fromEntries(
    Object.entries(published.find((one) => one.id === id)!.hyperparameters).filter(
      ([key]) => !without.includes(key),
    ),
  );

/** RMSProp of dfdx: TensorFlow 1's start at ones and ε inside, with PyTorch's rate outside the buffer. */
const dfdxRmsprop = { lr: 0.01, alpha: 0.9, eps: 1e-8, epsInside: true, initialSquareAvg: 1 };
const dfdxAdam = { lr: 1e-3, beta1: 0.5, beta2: 0.25 };
const tfjs = { lr: 0.1 };

/** Rate and decay that TensorFlow Addons tests RAdam and AdaBelief with: warm-up and line, or two schedules of Keras. */
const addons = {
  warmup: (t: number) => ({
    lr: t <= 10 ? (1e-3 * t) / 10 : 1e-3 + ((1e-5 - 1e-3) / 90) * Math.min(t - 10, 90),
  }),
  schedules: (t: number) => ({
    lr: 1e-3 * 0.5 ** ((t - 1) / 50),
    weightDecay: 2e-3 / (1 + (0.25 * (t - 1)) / 25),
  }),
};
const addonsRadam = { lr: 1e-3, eps: 1e-7, epsHat: false, decay: "decoupled" } as const;
const addonsAdabelief = { lr: 1e-3, eps: 1e-14, epsRoot: 1e-14, decay: "decoupled" } as const;
const addonsYogi = { lr: 0.01, initialAccumulatorValue: 1, biasCorrection: true, epsHat: true };
const addonsNovograd = { lr: 0.1, beta1: 0.9, beta2: 0.999 };
const ranger = { beta1: 0.95 };
const slowWeights = { every: 6, alpha: 0.45 };

const runs: Record<string, PublishedRun> = {
  "tf/momentum/nesterov_quadratic": {
    rule: fromTensorFlow1("Momentum", { learning_rate: 2, momentum: 0.9, use_nesterov: true }),
  },
  "tf/adagrad/basic3": { rule: fromTensorFlow1("Adagrad", config("tf/adagrad/basic3", "epsilon")) },
  "tf/adagrad/sparse_stability": {
    rule: fromTensorFlow1("Adagrad", config("tf/adagrad/sparse_stability", "epsilon")),
  },
  "tf/adam/basic3": { rule: fromTensorFlow1("Adam", config("tf/adam/basic3")) },
  "tfa/adamw/nolr": { rule: adamw({ epsHat: true, weightDecay: 0.01, decay: "independent" }) },
  "tfa/sgdw/nolr": { rule: momentum({ lr: 1e-3, weightDecay: 0.01, decay: "independent" }) },
  "tfa/radam/dense": { rule: radam(addonsRadam) },
  "tfa/radam/amsgrad": { rule: radamAmsgrad(addonsRadam) },
  "tfa/radam/weight_decay": { rule: radam({ ...addonsRadam, weightDecay: 0.01 }) },
  "tfa/radam/warmup": { rule: radam(addonsRadam), at: addons.warmup },
  "tfa/radam/schedules": { rule: radam(addonsRadam), at: addons.schedules },
  "tfa/radam/lookahead_ranger": { rule: radam({ ...addonsRadam, ...ranger }), slowWeights },
  "tfa/adabelief/dense": { rule: adabelief(addonsAdabelief) },
  "tfa/adabelief/amsgrad": { rule: adabeliefAmsgrad(addonsAdabelief) },
  "tfa/adabelief/weight_decay": { rule: adabelief({ ...addonsAdabelief, weightDecay: 0.01 }) },
  "tfa/adabelief/warmup": { rule: adabelief(addonsAdabelief), at: addons.warmup },
  "tfa/adabelief/schedules": { rule: adabelief(addonsAdabelief), at: addons.schedules },
  "tfa/adabelief/lookahead": { rule: adabelief({ ...addonsAdabelief, ...ranger }), slowWeights },
  "tfa/lamb/basic3": { rule: lamb({ lr: 1e-3 }) },
  "tfa/lamb/decay_wd": {
    rule: lamb({ lr: 1e-3, weightDecay: 0.01 }),
    at: (t) => ({ lr: 1e-3 / (1 + 0.5 * (t - 1)) }),
  },
  "tfa/novograd/dense": { rule: novograd(addonsNovograd) },
  "tfa/novograd/weight_decay": { rule: novograd({ ...addonsNovograd, weightDecay: 0.1 }) },
  "tfa/novograd/grad_averaging": { rule: novograd({ ...addonsNovograd, gradientAveraging: true }) },
  "tfa/yogi/b1_0.0_l1_0.0_l2_0.0": { rule: yogi({ ...addonsYogi, beta1: 0 }) },
  "tfa/yogi/b1_0.9_l1_0.0_l2_0.0": { rule: yogi(addonsYogi) },
  "tfa/yogi/b1_0.0_l1_0.1_l2_0.2": { rule: yogi({ ...addonsYogi, beta1: 0, l1: 0.1, l2: 0.2 }) },
  "tfa/yogi/b1_0.9_l1_0.1_l2_0.2": { rule: yogi({ ...addonsYogi, l1: 0.1, l2: 0.2 }) },
  "tfjs/sgd": { rule: sgd(tfjs) },
  "tfjs/momentum": { rule: momentum({ ...tfjs, momentum: 0.5 }) },
  "tfjs/nesterov": { rule: nesterov({ ...tfjs, momentum: 0.5 }) },
  "tfjs/rmsprop": {
    rule: rmspropMomentum({
      ...tfjs,
      alpha: 0.95,
      momentum: 0.1,
      eps: 1e-7,
      epsInside: true,
      rateInside: true,
    }),
  },
  "tfjs/adagrad": {
    rule: adagrad({ ...tfjs, initialAccumulatorValue: 0.1, eps: 1e-7, epsInside: true }),
  },
  "dfdx/adam/test_default_adam_params": { rule: adam() },
  "dfdx/adam/test_custom_adam_one_params": { rule: adam(dfdxAdam) },
  "dfdx/adam/test_adam_l2_decay": { rule: adam({ ...dfdxAdam, weightDecay: 1 }) },
  "dfdx/adam/test_adam_decoupled_decay": { rule: adamw({ ...dfdxAdam, weightDecay: 1 }) },
  "dfdx/rmsprop/test_rmsprop_default": { rule: rmsprop(dfdxRmsprop) },
  "dfdx/rmsprop/test_rmsprop_momentum": { rule: rmspropMomentum(dfdxRmsprop) },
  "dfdx/rmsprop/test_rmsprop_diff_alpha": { rule: rmsprop({ ...dfdxRmsprop, alpha: 0.5 }) },
  "dfdx/rmsprop/test_rmsprop_diff_eps": { rule: rmsprop({ ...dfdxRmsprop, eps: 0.01 }) },
  "dfdx/rmsprop/test_rmsprop_centered": { rule: rmspropCentered(dfdxRmsprop) },
  "dfdx/rmsprop/test_rmsprop_l2_weight_decay": { rule: rmsprop({ ...dfdxRmsprop, weightDecay: 0.5 }) },
  "dfdx/rmsprop/test_rmsprop_decoupled_weight_decay": {
    rule: rmsprop({ ...dfdxRmsprop, weightDecay: 0.5, decay: "decoupled" }),
  },
  "dfdx/sgd/test_sgd_no_momentum": { rule: sgd({ lr: 0.01 }) },
  "dfdx/sgd/test_sgd_classic_momentum": { rule: momentum({ lr: 0.01, momentum: 0.5 }) },
  "dfdx/sgd/test_sgd_nesterov_momentum": { rule: nesterov({ lr: 0.01, momentum: 0.5 }) },
  "dfdx/sgd/test_sgd_weight_decay_no_momentum": { rule: sgd({ lr: 0.01, weightDecay: 0.1 }) },
  "dfdx/sgd/test_sgd_decoupled_weight_decay_classic_momentum": {
    rule: momentum({ lr: 0.01, momentum: 0.5, weightDecay: 0.1, decay: "decoupled" }),
  },
  "dfdx/sgd/test_sgd_l2_weight_decay_classic_momentum": {
    rule: momentum({ lr: 0.01, momentum: 0.5, weightDecay: 0.1 }),
  },
};
for (const { id } of published) {
  const [source, name, test] = id.split("/");
  if (source === "keras" && ["golden10x5", "test_single_step"].includes(test!) && KERAS_NAMES[name!])
    runs[id] = kerasRun(KERAS_NAMES[name!]!, config(id, "schedule_decay_base"));
  if (source === "tf" && name === "ftrl") runs[id] = { rule: fromTensorFlow1("Ftrl", config(id)) };
  if (source === "tf" && name === "rmsprop")
    runs[id] = { rule: fromTensorFlow1("RMSProp", config(id, "initial_mean_square")) };
}
delete runs["keras/adam/golden10x5"];

/** Cases that are runs of one rule, by their ids. */
export const publishedRuns: Readonly<Record<string, PublishedRun>> = runs;

/** The rules that `keras/all/decoupled_weight_decay_3x` is about, as far as the project has them. */
export const decayedByKeras: readonly KerasOptimizer[] = Object.values(KERAS_NAMES)
  // Its source has no Ftrl either.
  .filter((name) => name !== "Ftrl")
  .map((name) => kerasRun(name, config("keras/all/decoupled_weight_decay_3x")));

/** Cases that are told step by step in `test/gpu/published.test.ts`. */
export const scenarios: readonly string[] = [
  "keras/all/decoupled_weight_decay_3x",
  "keras/optimizer/ema",
  "keras/optimizer/global_clip_norm",
  "keras/optimizer/static_loss_scale",
  "keras/optimizer/grad_accumulation_3",
  "keras/optimizer/grad_accumulation_2_mean",
  "keras/loss_scale/finite_step",
  "keras/loss_scale/infinite_step",
  "keras/loss_scale/downscale",
  "keras/loss_scale/upscale",
  "keras/loss_scale/iterations",
  "tfa/moving_average",
  "tfa/swa",
];

const suspect = "marked suspect: the source's figures are off by more than their digits";
const sparse = "rows of a sparse gradient: this engine's gradients are dense";

/** Cases that nothing here can carry out, with the reason. */
export const leftOut: Readonly<Record<string, string>> = {
  "keras/adam/golden10x5": suspect,
  "keras/lamb/golden10x5": suspect,
  "keras/lamb/test_single_step": suspect,
  "tfjs/adam": suspect,
  "tfjs/adamax": suspect,
  "keras/adafactor/golden10x5": "Adafactor is no rule here",
  "keras/adafactor/test_single_step_1d": "Adafactor is no rule here",
  "keras/adafactor/test_single_step_2d": "Adafactor is no rule here",
  "keras/muon/test_muon_single_step": "Muon is no rule here",
  "keras/muon/test_adamw_single_step": "Muon is no rule here",
  "keras/muon/newton_schulz_5": "Muon is no rule here",
  "tfjs/rmsprop_centered": "tfjs subtracts ε under the root, so that a constant gradient gives NaN",
  "tfjs/adadelta_oldacc": "tfjs divides by the old accumulator",
  "tfa/proximal_adagrad/plain": "proximal AdaGrad is no rule here",
  "tfa/proximal_adagrad/l1": "proximal AdaGrad is no rule here",
  "tfa/proximal_adagrad/l1_l2": "proximal AdaGrad is no rule here",
  "tfa/radam/sparse_touched": sparse,
  "tfa/radam/sparse_weight_decay": sparse,
  "tfa/adabelief/rectify_touched": sparse,
};
