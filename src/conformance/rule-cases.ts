import type { Rule, RuleFactory } from "../index.js";
import { describeOptions, type Job } from "./job.js";
import { judgeRuns, noOutcome } from "./outcome.js";
import { type Extras, isSteady, runBeyond, runBroken, runRule, runSteady } from "./run-rule.js";
import { neededBy, type Options, variantsOf } from "./variants.js";

/** Options that the stages around a rule carry out and not its own kernel. */
const STAGES = ["weightDecay", "decay", "maximize", "cautious"];

const STAGED: Options = { weightDecay: 0.05, maximize: true };

/** The two kernels of a step: gradients as they are, and with the stages around the rule. */
const forms: readonly { readonly name: string; readonly options: Options }[] = [
  { name: "bare", options: { weightDecay: 0 } },
  { name: "staged", options: STAGED },
];

/** The kernels of guarded steps, of those that are reported, and of compensated ones. No gradient is one to skip. */
const otherForms: readonly { readonly name: string; readonly extras: Extras }[] = [
  { name: "guarded", extras: { guards: {} } },
  { name: "reported", extras: { guards: { nonFinite: "keep", clipNorm: 3.4e38 }, telemetry: {} } },
  { name: "compensated", extras: { compensated: true } },
];

type Make = (options: object) => Rule;

/** What is asked of every rule beside its formula. */
const edges: readonly (readonly [id: string, run: (device: GPUDevice, make: Make) => Promise<string[]>])[] = [
  ["finite", (device, make) => runBeyond(device, make({}))],
  ["not finite", (device, make) => runBroken(device, make({}))],
  ["steady", runSteady],
];

/**
 * A rule at each of its variants through both forms of its kernels, and under gradients that f32 cannot square.
 * @param isWanted of regimes
 */
export function ruleJobs(factory: RuleFactory, isWanted?: (regime: string) => boolean): Job[] {
  const { name } = factory.row;
  const head = (id: string) => ({ id: `rule/${name}/${id}`, kind: "rule", rule: name }) as const;
  const variant = (id: string, options: Options, extras?: Extras): Job => ({
    cases: [head(id)],
    run: async ({ device, software }) => [
      judgeRuns(await runRule(device, factory(options), undefined, extras, isWanted), software),
    ],
  });
  const needed = neededBy(factory);
  return [
    ...variantsOf(factory).flatMap((options) =>
      Object.keys(options).some((option) => STAGES.includes(option))
        ? [variant(describeOptions(options), options)]
        : forms.map((form) =>
            variant(`${describeOptions(options)}/${form.name}`, { ...options, ...form.options }),
          ),
    ),
    ...otherForms.map(({ name, extras }) =>
      variant(`${describeOptions(needed)}/${name}`, { ...needed, ...STAGED }, extras),
    ),
    ...edges
      .filter(([id]) => id !== "steady" || isSteady(factory.row))
      .map(
        ([id, run]): Job => ({
          cases: [head(id)],
          run: async ({ device }) => [
            {
              ...noOutcome,
              errors: await run(device, (options) => factory({ ...needed, ...options })),
            },
          ],
        }),
      ),
  ];
}
