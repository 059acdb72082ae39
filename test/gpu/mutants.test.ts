// Planted defects: a kernel that is wrong in one place must fail the conformance run of its rule.
import { expect, test } from "vitest";
import { ruleJobs } from "../../src/conformance/rule-cases.js";
import { SAMPLE, wholeJobs } from "../../src/conformance/whole-cases.js";
import { type RuleFactory, rules } from "../../src/index.js";
import { checkOptions } from "../../src/rule.js";
import { useDevice } from "../support/device.js";
import { long } from "../support/long.js";

const watched = useDevice();

/** Rule, what is wrong, and the text of the shader that becomes another. */
type Defect = readonly [rule: string, what: string, from: string, to: string];

const second = "averaged((*state).exp_avg_sq, g * g, scalars.beta2, scalars.one_minus_beta2)";
const unlimited = "let g = gradient;";
const limited = "let g = limited(gradient);";

/** What is wrong in ways of the rule's own. */
const defects: readonly Defect[] = [
  ["sgd", "sign for value", "scalars.rate * gradient", "scalars.rate * sign(gradient)"],
  [
    "momentum",
    "momentum dropped",
    "averaged((*state).momentum_buffer, vec4f(), scalars.momentum, scalars.one_minus_momentum) + ",
    "",
  ],
  [
    "nesterov",
    "momentum counted twice",
    "scalars.buffer_out * buffer",
    "(1.0 - scalars.one_minus_momentum) * scalars.buffer_out * buffer",
  ],
  ["nesterov", "no gradient beside the buffer", " + scalars.gradient_out * gradient", ""],
  ["nesterov-lookahead", "looks behind", "parameter - scalars.momentum", "parameter + scalars.momentum"],
  ["adagrad", "an average for the sum", "(*state).sum + g * g", "0.9 * (*state).sum + g * g"],
  ["adagrad", "no root", "sqrt(sum + inside)", "(sum + inside)"],
  ["adagrad", "epsilon inside and out", "select(scalars.eps, 0.0, eps_inside)", "scalars.eps"],
  [
    "rmsprop",
    "epsilon moved inside",
    "select(0.0, scalars.eps, eps_inside)",
    "select(scalars.eps, 0.0, eps_inside)",
  ],
  ["rmsprop", "first moment under the root", "g * g", "abs(g)"],
  [
    "rmsprop-centered",
    "a difference of averages",
    "sqrt(variance + inside)",
    "sqrt(max((variance + (*state).grad_avg * (*state).grad_avg) - (*state).grad_avg * (*state).grad_avg, vec4f()) + inside)",
  ],
  ["rmsprop-centered", "centered by the average after the step", "scalars.alpha * deviation", "deviation"],
  ["rmsprop-centered", "not centered", "g - (*state).grad_avg", "g"],
  ["rmsprop-momentum", "rate outside for inside", "scalars.rate_in * (g", "(g"],
  ["rmsprop-momentum", "root of the last average", "sqrt(square_avg", "sqrt((*state).square_avg"],
  [
    "rmsprop-centered-momentum",
    "averages exchanged",
    "(*state).grad_avg = averaged((*state).grad_avg, g, scalars.alpha, scalars.one_minus_alpha)",
    "(*state).grad_avg = variance",
  ],
  ["rmsprop-nesterov", "an epsilon that the rule has not", "g / root", "g / (root + 1e-6)"],
  [
    "rmsprop-nesterov",
    "0/0 for no update",
    "select(vec4f(), scalars.rate * g / root, root > vec4f())",
    "scalars.rate * g / root",
  ],
  ["adadelta", "divides by the old accumulator", "divisor = square_avg", "divisor = (*state).square_avg"],
  [
    "adadelta",
    "updates accumulated before use",
    "before = (*state).acc_delta",
    "before = 0.9 * (*state).acc_delta",
  ],
  ["adadelta", "accumulates gradients for updates", "before * (g / divisor) * g", "g * g"],
  [
    "adam",
    "betas exchanged",
    "averaged((*state).exp_avg, g, scalars.beta1, scalars.one_minus_beta1)",
    "averaged((*state).exp_avg, g, scalars.beta2, scalars.one_minus_beta2)",
  ],
  ["adam", "beta1 in the second moment", second, second.replaceAll("beta2", "beta1")],
  [
    "adam",
    "no correction of the second moment",
    "exp_avg_sq * scalars.inverse_bias_correction2",
    "exp_avg_sq",
  ],
  ["adam", "epsilon under the root", "(sqrt(rooted) + scalars.eps)", "sqrt(rooted + scalars.eps)"],
  ["adam", "no epsilon", "(sqrt(rooted) + scalars.eps)", "sqrt(rooted)"],
  ["adam", "sign for value", "scalars.step_size * exp_avg", "scalars.step_size * sign(exp_avg)"],
  ["adam", "squares without a bound", limited, unlimited],
  ["adam", "a bound of the squares alone", "g * g", "min(gradient * gradient, vec4f(1e38))"],
  ["rmsprop", "the gradient not held where its square is", "scalars.rate * g", "scalars.rate * gradient"],
  ["amsgrad", "maximum ignored", "max((*state).max_exp_avg_sq, ", "max(vec4f(), "],
  ["amsgrad", "minimum for maximum", "max((*state).max_exp_avg_sq, ", "min((*state).max_exp_avg_sq, "],
  ["adamax", "decay of the norm left out", "scalars.beta2 * (*state).exp_inf", "(*state).exp_inf"],
  ["adamax", "gradient for its magnitude", "abs(gradient)", "gradient"],
  ["nadam", "no momentum in the direction", " + scalars.momentum_rate * exp_avg", ""],
  ["nadam", "no gradient in the direction", "scalars.gradient_rate * g + ", ""],
  ["radam", "never adaptive", " + scalars.adaptive_rate * exp_avg / root", ""],
  ["radam", "second moment of the moment", second, second.replace("g * g", "exp_avg * exp_avg")],
  ["radam-amsgrad", "maximum ignored", "max((*state).max_exp_avg_sq, exp_avg_sq)", "exp_avg_sq"],
  ["rprop", "compares by the product", "sign(gradient) * sign((*state).prev)", "gradient * (*state).prev"],
  ["rprop", "factors exchanged", "agreement > vec4f()", "agreement < vec4f()"],
  [
    "rprop",
    "no step back after a change of sign",
    "select(gradient, vec4f(), agreement < vec4f())",
    "gradient",
  ],
  ["asgd", "averages the parameter before the step", "let next = parameter - change", "let next = parameter"],
  ["asgd", "decay left out", " + scalars.decay * parameter", ""],
  ["lion", "keeps what it steps by", "scalars.beta2, scalars.one_minus_beta2", "0.9, 0.1"],
  ["lion", "sign of the gradient alone", "scalars.momentum_share * exp_avg + ", ""],
  ["signum", "value for sign", "sign(", "("],
  ["sign-sgd", "value for sign", "sign(gradient)", "gradient"],
  ["adabelief", "Adam's second moment", "surprise * surprise", "g * g"],
  ["adabelief", "surprise of the last moment", "scalars.beta1_squared * ", ""],
  [
    "yogi",
    "Adam's second moment",
    "before - scalars.one_minus_beta2 * sign(before - square) * square",
    "before - scalars.one_minus_beta2 * (before - square)",
  ],
  ["yogi", "l1 at the rate of the group", "scalars.l1 * rate", "scalars.l1 * scalars.step_size"],
  ["yogi", "l2 before the step", "(1.0 + scalars.l2 * rate)", "(1.0 - scalars.l2 * rate)"],
  ["adabelief-amsgrad", "maximum ignored", "max((*state).max_exp_avg_var, exp_avg_var)", "exp_avg_var"],
  ["yogi", "sign turned", "sign(before - square)", "sign(square - before)"],
  ["adan", "difference dropped", "g - (*state).previous_gradient", "vec4f()"],
  ["ademamix", "slow moment dropped", " + scalars.slow_rate * exp_avg_slow", ""],
  [
    "ademamix",
    "slow moment as fast as the other",
    "averaged((*state).exp_avg_slow, g, scalars.beta3, scalars.one_minus_beta3)",
    "averaged((*state).exp_avg_slow, g, scalars.beta1, scalars.one_minus_beta1)",
  ],
  [
    "adopt",
    "divides by the v that has the gradient",
    "sqrt(before)",
    "sqrt(averaged(before, g * g, scalars.beta2, scalars.one_minus_beta2))",
  ],
  ["adopt", "clipped at one", "vec4f(scalars.clip)", "vec4f(min(scalars.clip, 1.0))"],
  ["adopt", "ε beside the root", "max(sqrt(before), vec4f(scalars.eps))", "(sqrt(before) + scalars.eps)"],
  ["adopt", "decay left out", " + scalars.decay * parameter", ""],
  ["laprop", "rate outside for inside", "scalars.rate_in * (g", "(g"],
  ["laprop", "root of the last average", "sqrt(exp_avg_sq *", "sqrt((*state).exp_avg_sq *"],
  ["laprop", "second moment not corrected", " * scalars.inverse_bias_correction2", ""],
  ["optimistic-sgd", "no optimism", " + scalars.rate_of_change * change", ""],
  [
    "optimistic-sgd",
    "the change turned round",
    "gradient - (*state).previous_gradient",
    "(*state).previous_gradient - gradient",
  ],
  ["optimistic-adam", "no optimism", " + scalars.rate_of_change * change", ""],
  [
    "optimistic-adam",
    "the change of m for that of the direction",
    "(*state).previous_direction = direction",
    "(*state).previous_direction = exp_avg",
  ],
  ["optimistic-adam", "no look ahead", " + scalars.gradient_in * g", ""],
  ["optimistic-adam", "ε of the root left out", " + scalars.eps_root", ""],
  ["ftrl", "l1 left out", "vec4f(scalars.l1)", "vec4f()"],
  ["ftrl", "no pull towards the parameter", " - curvature * parameter", ""],
  ["ftrl", "l1 taken at each step", "held - clamped + force", "force - clamped"],
  ["ftrl", "z of the last rate", "let linear = held + force", "let linear = (*state).linear + force"],
  ["ftrl", "rescaled by another rate", "if (!rescaled)", "if (false)"],
  ["ftrl", "l2 left out", "scalars.inverse_rate * after + scalars.l2", "scalars.inverse_rate * after"],
  ["sophia", "not clipped", "clamp(exp_avg, -divisor, divisor)", "exp_avg"],
  [
    "sophia",
    "curvature not averaged",
    "blended((*state).hessian, estimate, scalars.beta2, scalars.one_minus_beta2)",
    "estimate",
  ],
  [
    "schedule-free-sgd",
    "averaged before the step",
    "scalars.weight * (z - (*state).x)",
    "scalars.weight * ((*state).z - (*state).x)",
  ],
  [
    "schedule-free-sgd",
    "interpolates the other way",
    "z + scalars.momentum * (x - z)",
    "x + scalars.momentum * (z - x)",
  ],
  ["schedule-free-adamw", "decay at z", "scalars.decay * parameter", "scalars.decay * (*state).z"],
  ["schedule-free-adamw", "no average", "scalars.weight * (z - (*state).x)", "(z - (*state).x)"],
  ["novograd", "norm for its square", "dot(g, g)", "sqrt(dot(g, g))"],
  [
    "novograd",
    "Adam's first moment over the norm",
    "limited(gradient) / (sqrt(settled.exp_avg_sq) + scalars.eps)",
    "gradient",
  ],
  ["lars", "decay left out of the norms", " + scalars.decay * parameter + scalars.eps)", " + scalars.eps)"],
  [
    "lars",
    "trust of the gradient alone",
    "settled.trust * (limited(gradient) + ",
    "(settled.trust * limited(gradient) + ",
  ],
  ["lars", "a norm of zero", "adapts = parameter > 0.0 && ", "adapts = "],
  ["lars", "small squares lost", "squares < 0x1p-60f", "false"],
  ["lars", "norms of the update", "squares(parameter), small", "squares(gradient), small"],
  ["lamb", "Adam", "settled.trust * u", "u"],
  [
    "lamb",
    "decay beside u",
    "norm(sums.direction, sums.small_direction)",
    "norm(sums.parameter, sums.small_parameter)",
  ],
  ["lamb", "a limit of the other", "scalars.max_norm);", "scalars.max_trust);"],
  ["lamb", "norm before the decay", "scalars.norm_kept * norm", "norm"],
  [
    "lamb",
    "trust of moments that are not corrected",
    "scalars.inverse_bias_correction1 * exp_avg",
    "exp_avg",
  ],
  ["fromage", "no shrinking", " + scalars.shrink * parameter", ""],
  ["fromage", "ratio turned over", "parameter / gradient", "gradient / parameter"],
  [
    "fromage",
    "least norm of the gradient alone",
    "max(norm(sums.parameter, sums.small_parameter), scalars.min_norm)",
    "norm(sums.parameter, sums.small_parameter)",
  ],
  ["stable-adamw", "AdamW", "settled.slowdown * (", "("],
  ["stable-adamw", "speeds up, too", "max(sums.ratios / sums.count, 1.0)", "(sums.ratios / sums.count)"],
  ["stable-adamw", "the sum for the mean", "sums.ratios / sums.count", "sums.ratios"],
  [
    "stable-adamw",
    "second moment of the step before",
    "average_of_squares(g, state) * ",
    "state.exp_avg_sq * ",
  ],
  ["polyak-sgd", "no least value of the loss", "sums.loss - scalars.minimum", "sums.loss"],
  ["polyak-sgd", "the norm for its square", "(gap / norm)", "gap"],
  ["polyak-sgd", "no largest step", "-1e38, scalars.max_rate", "-1e38, 1e38"],
  ["prodigy", "ε at the distance of before", "settled.next_d / d * scalars.next_eps", "scalars.next_eps"],
  ["prodigy", "numerator without its rate", "scalars.numerator_in * dot(", "scalars.one_minus_beta3 * dot("],
  ["prodigy", "numerator for denominator", "scalars.denominator_in * g", "scalars.numerator_in * g"],
  [
    "rprop",
    "a late step taken where the gradient turned",
    "select(sign((*state).prev) * before, vec4f(), agreement < vec4f())",
    "sign((*state).prev) * before",
  ],
  ["prodigy", "distance never grows", "max(d, min(estimate, 1e38))", "d"],
  ["prodigy", "distance may shrink", "max(d, min(estimate, 1e38))", "estimate"],
  ["prodigy", "away from the start", "dot(g, state.displacement)", "-dot(g, state.displacement)"],
  [
    "prodigy",
    "the distance that is left in the parameter",
    "displacement += change",
    "displacement += parameter - (parameter - change)",
  ],
  ["prodigy", "sums of other distances", "ratio * ratio * s", "s"],
  ["prodigy", "moments of other distances", "ratio * (*state).exp_avg", "(*state).exp_avg"],
  ["muon", "momentum not kept", "(*state).momentum_buffer = buffer;", ""],
  ["muon", "no gradient beside the momentum", " + scalars.gradient_out * g", ""],
  ["nadam", "m by the form of the update", "scalars.beta1, scalars.one_minus_beta1", "0.9, 0.1"],
];

/**
 * Rules whose buffers go on growing under a gradient that stays, or whose directions change: there is nothing that they are to
 * stay at.
 */
const NOTHING_STEADY = [
  "momentum",
  "nesterov",
  "nesterov-lookahead",
  "novograd",
  "sm3",
  "adafactor-momentum",
];

const factoryOf = (name: string): RuleFactory => rules.find(({ row }) => row.name === name)!;

/** The same rule with another shader. */
function withCode({ row }: RuleFactory, code: string): RuleFactory {
  const mutant = { ...row, shader: { ...row.shader, code } };
  return Object.assign((options: object = {}) => ({ row: mutant, options: checkOptions(mutant, options) }), {
    row: mutant,
  });
}

const QUICK = ["noisy", "vanishing", "huge"];
const FEW = { ...SAMPLE, shapes: [[9], [6, 8]], regimes: SAMPLE.regimes.slice(0, 1) };

/** Whether any case of a rule fails, or one of some names. */
async function fails(factory: RuleFactory, among = ""): Promise<boolean> {
  const { device, software } = watched();
  // Most are found by little.
  const few = factory.row.whole
    ? wholeJobs(factory, FEW, FEW)
    : ruleJobs(factory, (regime) => QUICK.includes(regime));
  const jobs = factory.row.whole ? wholeJobs(factory) : ruleJobs(factory);
  for (const { run, cases } of among ? jobs : [...few, ...jobs]) {
    if (!cases.some(({ id }) => id.endsWith(among))) continue;
    const outcomes = await run({ device, software });
    if (outcomes.some(({ errors }) => errors.length > 0)) return true;
  }
  return false;
}

/** One in so many: half of the defects of a rule's own, a sixth of what is planted in all alike. `test --long` takes all. */
const some = <T>(list: readonly T[], one = 6): T[] => list.filter((_, index) => long || index % one === 0);

/** Defects that any rule can have, from the text of its shader: the update turned round, and a state not kept. */
function commonDefects({ row: { shader } }: RuleFactory): (readonly [what: string, code: string])[] {
  const from = shader.code.indexOf("fn update(");
  const to = shader.code.indexOf("\n}", from);
  const update = shader.code.slice(from, to);
  const withUpdate = (text: string) => shader.code.slice(0, from) + text + shader.code.slice(to);
  return [
    ["ascends", withUpdate(update.replace(/return ([^;]+);/g, "return -($1);"))],
    ...shader.states
      // Some states are only read: where the parameter began, what curvature keeps.
      .filter((state) => update.includes(`(*state).${state} =`))
      .map(
        (state) =>
          [
            `${state} not kept`,
            withUpdate(update.replaceAll(new RegExp(`\\(\\*state\\)\\.${state} = [^;]+;`, "g"), "")),
          ] as const,
      ),
  ];
}

const common = some(
  rules.flatMap((factory) =>
    commonDefects(factory).map(([what, code]) => [factory.row.name, what, factory, code] as const),
  ),
);

test.each(common)("%s: %s", async (_, _what, factory, code) => {
  expect(code).not.toBe(factory.row.shader.code);
  expect(await fails(withCode(factory, code))).toBe(true);
});

test.each(some(defects, 2))("%s: %s", async (rule, _, from, to) => {
  const factory = factoryOf(rule);
  const { code } = factory.row.shader;
  expect(code, "the text that the defect replaces").toContain(from);
  expect(await fails(withCode(factory, code.replace(from, to)))).toBe(true);
});

/** Averages by two factors whose weights are rounded apart, as they once were. */
const ROUNDED_APART =
  "fn averaged(average: vec4f, value: vec4f, kept: f32, weight: f32) -> vec4f {\n  return kept * average + weight * value;";

const averaging = rules.filter(
  ({ row: { shader, whole } }) => !whole && shader.code.includes("fn averaged("),
);

test.each(some(averaging).map((factory) => [factory.row.name, factory] as const))(
  "%s: β and 1 − β rounded apart",
  async (name, factory) => {
    const { code } = factory.row.shader;
    const rounded = code.replace(/fn averaged\([^{]+\{/, ROUNDED_APART);
    expect(rounded).not.toBe(code);
    const steady = !NOTHING_STEADY.includes(name);
    expect(await fails(withCode(factory, rounded), "/steady")).toBe(steady);
  },
);

// A rule that takes the sign of its gradient, limits it, or compares it, would walk on or stand still; ASGD would not.
// Passes over whole tensors are given what is marked already.
const walking = rules.filter(
  ({ row: { shader, name, whole } }) => !shader.linear && name !== "asgd" && !whole,
);
test.each(some(walking).map((factory) => [factory.row.name, factory] as const))(
  "%s: what is not finite not marked",
  async (_, { row }) => {
    const shader = { ...row.shader, linear: true };
    const mutant = { ...row, shader };
    const unmarked: RuleFactory = Object.assign(
      (options: object = {}) => ({ row: mutant, options: checkOptions(mutant, options) }),
      { row: mutant },
    );
    expect(await fails(unmarked, "/not finite")).toBe(true);
  },
);
