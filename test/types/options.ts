// What the types of options allow and refuse. Nothing here runs: `tsc` is the test.
import { defineRule, fraction } from "../../src/define-rule.js";
import {
  adam,
  adamw,
  createOptimizer,
  type GroupOptions,
  type GroupPattern,
  type Hyperparameters,
  momentum,
  type Optimizer,
  type OptimizerOptions,
  type OptionsOf,
  type Parameter,
  type ParameterGroup,
  partition,
  type Rule,
  rules,
  sgd,
} from "../../src/index.js";

declare const device: GPUDevice;
declare const parameters: readonly Parameter[];
declare const optimizer: Optimizer;
declare const group: ParameterGroup;
declare const some: Parameter;
declare const perhaps: number | undefined;

const signAverage = defineRule({
  wgsl: "",
  defaults: { gain: fraction(0.5), centred: false },
  scalars: ({ gain, centred }, _t, lr) => ({ rate: centred ? lr : lr * gain }),
});
const scaled = defineRule({ wgsl: "", defaults: { size: 1 }, scalars: ({ size }) => ({ rate: size }) });
type SignAverage = OptionsOf<typeof signAverage>;

/** Options that every rule has, and those of the library's rules. */
export const typedGroups = [
  createOptimizer(device, {
    rule: adamw({ lr: 1e-3, beta1: 0.5 }),
    schedule: undefined,
    guards: undefined,
    groups: [
      { parameters },
      { parameters, lr: 1e-4, weightDecay: 0, decay: "decoupled", maximize: true },
      { parameters, beta1: 0.8, schedule: undefined, compensated: true },
      { parameters, guards: { adaptiveClip: { clipping: 0.1, units: "last" }, centralize: false } },
      { parameters, rule: momentum(), momentum: 0.8, form: "velocity" },
    ],
  }),
  createOptimizer(device, {
    rule: adam(),
    groups: [
      // @ts-expect-error misspelt
      { parameters, wieghtDecay: 0 },
      // @ts-expect-error no number
      { parameters, weightDecay: "x" },
      // @ts-expect-error no flag
      { parameters, maximize: 1 },
      // @ts-expect-error no flag
      { parameters, compensated: 1 },
      // @ts-expect-error no style
      { parameters, decay: "couple" },
      // @ts-expect-error no form of any rule
      { parameters, form: "buffered" },
      // @ts-expect-error null is not left out
      { parameters, eps: null },
      // @ts-expect-error a guard of all groups
      { parameters, guards: { clipNorm: 1 } },
    ],
  }),
  // @ts-expect-error a group's option
  createOptimizer(device, { rule: adam(), parameters, weightDecay: 0.1 }),
  // @ts-expect-error no parameters
  createOptimizer(device, { rule: adam(), groups: [{ lr: 1 }] }),
];

/** Factories. */
export const typedRules: readonly Rule[] = [
  adam({ beta1: 0.8, lr: undefined }),
  signAverage({ gain: 0.5, lr: perhaps }),
  // @ts-expect-error misspelt
  adam({ beta: 0.8 }),
  // @ts-expect-error no number
  signAverage({ gain: "0.5" }),
];

/** Options of the caller's rules come with the optimizer's rule, or by name. */
export const ownOptions = [
  createOptimizer(device, {
    rule: signAverage(),
    groups: [
      { parameters, gain: 0.25, centred: true, lr: 1 },
      { parameters, rule: sgd(), weightDecay: 0 },
    ],
  }),
  createOptimizer<SignAverage>(device, {
    rule: adam(),
    groups: [
      { parameters, beta1: 0.5 },
      { parameters, rule: signAverage(), gain: 0.25 },
    ],
  }),
  createOptimizer<SignAverage & OptionsOf<typeof scaled>>(device, {
    groups: [
      { parameters, rule: signAverage(), gain: 0.25 },
      { parameters, rule: scaled(), size: 2 },
    ],
  }),
  // A rule of a group's own brings its options as well.
  createOptimizer(device, { rule: adam(), groups: [{ parameters, rule: signAverage(), gain: 0.25 }] }),
  createOptimizer(device, {
    rule: signAverage(),
    groups: [
      // @ts-expect-error misspelt
      { parameters, gian: 0.25 },
      // @ts-expect-error no number
      { parameters, gain: true },
    ],
  }),
  // @ts-expect-error not an option of any rule at hand
  createOptimizer(device, { rule: adam(), groups: [{ parameters, gain: 0.25 }] }),
];

/** Options that are put together first. */
export const composed: OptimizerOptions = { rule: rules[0]!(), groups: [{ parameters, lr: 1 }] };
export const composedGroup: GroupOptions<SignAverage> = { parameters, rule: signAverage(), gain: 0.5 };
export const composedOptions: Hyperparameters = { lr: 1, momentum: 0.5 };
// @ts-expect-error misspelt
export const misspelt: GroupOptions = { parameters, lern: 1 };

/** Groups that join, and options that change. */
export const changes = async () => {
  await optimizer.addGroup({ parameters, rule: adam(), beta2: 0.9, lr: 1 });
  await optimizer.addGroup({ parameters, rule: signAverage(), gain: 0.1 });
  await optimizer.addGroup<SignAverage>({ parameters: [some], gain: 0.1 });
  // @ts-expect-error misspelt
  await optimizer.addGroup({ parameters, rule: adam(), beta22: 0.9 });
  group.set({ lr: 0.1, weightDecay: 0, momentum: 0.8 });
  group.set({ lr: 1 });
  group.set<SignAverage>({ gain: 0.1, lr: 1 });
  // Names that are known only when it runs are checked then.
  group.set({ ...({ lr: 1 } as Readonly<Record<string, number>>) });
  // @ts-expect-error no such option
  group.set({ nope: 1 });
  // @ts-expect-error no number
  group.set({ lr: "fast" });
  // @ts-expect-error misspelt
  group.set<SignAverage>({ gian: 0.1 });
};

/** Patterns give what they have to the groups. */
export const patterns = async () => {
  const groups: readonly GroupOptions[] = partition(parameters, [
    { match: /bias|norm/, weightDecay: 0 },
    { match: (name, shape) => name !== "" && shape?.length === 1, rule: sgd(), lr: 1 },
    {},
  ]);
  await createOptimizer(device, { rule: adam(), groups });
  await createOptimizer(device, {
    rule: signAverage(),
    groups: partition<SignAverage>(parameters, [{ match: /bias/, gain: 0 }, {}]),
  });
  await createOptimizer(device, { rule: signAverage(), groups: partition(parameters, [{ lr: 1 }]) });
  // @ts-expect-error misspelt
  partition(parameters, [{ match: /bias/, wieghtDecay: 0 }, {}]);
  // @ts-expect-error no number
  partition(parameters, [{ match: /bias/, weightDecay: "x" }, {}]);
  // @ts-expect-error no pattern
  partition(parameters, [{ match: "bias" }, {}]);
  // @ts-expect-error the patterns give the parameters
  partition(parameters, [{ parameters }]);
};
export const pattern: GroupPattern = { match: /bias/, weightDecay: 0 };
