// Planted defects: a kernel that is wrong in one place must fail the conformance run of its rule.
import { expect, test } from "vitest";
import { ruleJobs } from "../../src/conformance/rule-cases.js";
import { type RuleFactory, rules } from "../../src/index.js";
import { checkOptions } from "../../src/rule.js";
import { useDevice } from "../support/device.js";

const watched = useDevice();

/** Rule, what is wrong, and the text of the shader that becomes another. */
type Defect = readonly [rule: string, what: string, from: string, to: string];

const moment = "scalars.beta1 * (*state).exp_avg + scalars.one_minus_beta1 * gradient";
const second = "scalars.beta2 * (*state).exp_avg_sq + scalars.one_minus_beta2 * gradient * gradient";

/** What is wrong in ways of the rule's own. */
const defects: readonly Defect[] = [
  ["sgd", "sign for value", "scalars.rate * gradient", "scalars.rate * sign(gradient)"],
  ["momentum", "momentum dropped", "scalars.momentum * (*state).momentum_buffer + ", ""],
  [
    "nesterov",
    "momentum counted twice",
    "scalars.buffer_out * buffer",
    "scalars.momentum * scalars.buffer_out * buffer",
  ],
  ["nesterov", "no gradient beside the buffer", " + scalars.gradient_out * gradient", ""],
  ["nesterov-lookahead", "looks behind", "parameter - scalars.momentum", "parameter + scalars.momentum"],
  [
    "adagrad",
    "an average for the sum",
    "(*state).sum + gradient * gradient",
    "0.9 * (*state).sum + gradient * gradient",
  ],
  ["adagrad", "no root", "sqrt(sum + inside)", "(sum + inside)"],
  ["adagrad", "epsilon inside and out", "select(scalars.eps, 0.0, eps_inside)", "scalars.eps"],
  [
    "rmsprop",
    "epsilon moved inside",
    "select(0.0, scalars.eps, eps_inside)",
    "select(scalars.eps, 0.0, eps_inside)",
  ],
  [
    "rmsprop",
    "first moment under the root",
    "scalars.one_minus_alpha * gradient * gradient",
    "scalars.one_minus_alpha * abs(gradient)",
  ],
  [
    "rmsprop-centered",
    "variance not held above zero",
    "max(square_avg - grad_avg * grad_avg, vec4f())",
    "square_avg - grad_avg * grad_avg",
  ],
  [
    "rmsprop-centered",
    "centered by the gradient",
    "square_avg - grad_avg * grad_avg",
    "square_avg - gradient * gradient",
  ],
  ["rmsprop-centered", "not centered", "square_avg - grad_avg * grad_avg", "square_avg"],
  ["rmsprop-momentum", "rate outside for inside", "scalars.rate_in * gradient", "gradient"],
  ["rmsprop-momentum", "root of the last average", "sqrt(square_avg", "sqrt((*state).square_avg"],
  [
    "rmsprop-centered-momentum",
    "averages exchanged",
    "(*state).grad_avg = grad_avg",
    "(*state).grad_avg = square_avg",
  ],
  ["rmsprop-nesterov", "an epsilon that the rule has not", "gradient / root", "gradient / (root + 1e-6)"],
  [
    "rmsprop-nesterov",
    "0/0 for no update",
    "select(vec4f(), scalars.rate * gradient / root, root > vec4f())",
    "scalars.rate * gradient / root",
  ],
  [
    "adadelta",
    "divides by the old accumulator",
    "sqrt(square_avg + scalars.eps)",
    "sqrt((*state).square_avg + scalars.eps)",
  ],
  [
    "adadelta",
    "updates accumulated before use",
    "sqrt((*state).acc_delta + scalars.eps)",
    "sqrt(scalars.rho * (*state).acc_delta + scalars.eps)",
  ],
  [
    "adadelta",
    "accumulates gradients for updates",
    "scalars.one_minus_rho * delta * delta",
    "scalars.one_minus_rho * gradient * gradient",
  ],
  [
    "adam",
    "betas exchanged",
    moment,
    "scalars.beta2 * (*state).exp_avg + scalars.one_minus_beta2 * gradient",
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
  ["adam", "1 − β computed in f32", "scalars.one_minus_beta2 * gradient", "(1.0 - scalars.beta2) * gradient"],
  ["adam", "sign for value", "scalars.step_size * exp_avg", "scalars.step_size * sign(exp_avg)"],
  ["adam", "squares without a bound", `bounded(${second})`, second],
  ["amsgrad", "maximum ignored", "max((*state).max_exp_avg_sq, ", "max(vec4f(), "],
  ["amsgrad", "minimum for maximum", "max((*state).max_exp_avg_sq, ", "min((*state).max_exp_avg_sq, "],
  ["adamax", "decay of the norm left out", "scalars.beta2 * (*state).exp_inf", "(*state).exp_inf"],
  ["adamax", "gradient for its magnitude", "abs(gradient)", "gradient"],
  ["nadam", "no momentum in the direction", " + scalars.momentum_rate * exp_avg", ""],
  ["nadam", "no gradient in the direction", "scalars.gradient_rate * gradient + ", ""],
  ["radam", "never adaptive", " + scalars.adaptive_rate * exp_avg / root", ""],
  [
    "radam",
    "second moment of the moment",
    `bounded(${second})`,
    `bounded(${second.replace("gradient * gradient", "exp_avg * exp_avg")})`,
  ],
  ["radam-amsgrad", "maximum ignored", "max((*state).max_exp_avg_sq, exp_avg_sq)", "exp_avg_sq"],
  ["rprop", "compares by the product", "sign(gradient) * sign((*state).prev)", "gradient * (*state).prev"],
  ["rprop", "factors exchanged", "agreement > vec4f()", "agreement < vec4f()"],
  [
    "rprop",
    "no step back after a change of sign",
    "select(gradient, vec4f(), agreement < vec4f())",
    "gradient",
  ],
  ["asgd", "averages the parameter before the step", "(parameter - change)", "parameter"],
  ["asgd", "decay left out", " + scalars.decay * parameter", ""],
  [
    "lion",
    "betas exchanged",
    "scalars.beta2 * exp_avg + scalars.one_minus_beta2",
    "scalars.beta1 * exp_avg + scalars.one_minus_beta1",
  ],
  [
    "lion",
    "sign of the gradient alone",
    "sign(scalars.beta1 * exp_avg + scalars.one_minus_beta1 * gradient)",
    "sign(gradient)",
  ],
  [
    "signum",
    "value for sign",
    "sign(scalars.beta1 * exp_avg + scalars.one_minus_beta1 * gradient)",
    "(scalars.beta1 * exp_avg + scalars.one_minus_beta1 * gradient)",
  ],
  ["sign-sgd", "value for sign", "sign(gradient)", "gradient"],
  ["adabelief", "Adam's second moment", "surprise * surprise", "gradient * gradient"],
  [
    "adabelief",
    "surprise of the last moment",
    "scalars.beta1 * (gradient - (*state).exp_avg)",
    "gradient - (*state).exp_avg",
  ],
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
  ["adan", "difference dropped", "gradient - (*state).previous_gradient", "vec4f()"],
  ["ademamix", "slow moment dropped", " + scalars.slow_rate * exp_avg_slow", ""],
  [
    "ademamix",
    "slow moment as fast as the other",
    "scalars.beta3 * (*state).exp_avg_slow + scalars.one_minus_beta3",
    "scalars.beta1 * (*state).exp_avg_slow + scalars.one_minus_beta1",
  ],
  ["ftrl", "l1 left out", "(clamp(linear, vec4f(-scalars.l1), vec4f(scalars.l1)) - linear)", "(-linear)"],
  ["ftrl", "no pull towards the parameter", " - pull * parameter", ""],
  ["ftrl", "l2 left out", "scalars.inverse_rate * after + scalars.l2", "scalars.inverse_rate * after"],
  ["sophia", "not clipped", "clamp(exp_avg, -divisor, divisor)", "exp_avg"],
  ["sophia", "curvature not averaged", "scalars.one_minus_beta2 * estimate", "estimate"],
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
  ["novograd", "norm for its square", "dot(gradient, gradient)", "sqrt(dot(gradient, gradient))"],
  [
    "novograd",
    "Adam's first moment over the norm",
    "gradient / (sqrt(settled.exp_avg_sq) + scalars.eps)",
    "gradient",
  ],
  ["prodigy", "ε at the distance of before", "settled.next_d * scalars.next_eps", "d * scalars.next_eps"],
  ["prodigy", "numerator without its rate", "scalars.numerator_in * dot(", "(1.0 - scalars.beta3) * dot("],
  ["prodigy", "numerator for denominator", "scalars.denominator_in * d", "scalars.numerator_in * d"],
  [
    "rprop",
    "a late step taken where the gradient turned",
    "select(sign((*state).prev) * before, vec4f(), agreement < vec4f())",
    "sign((*state).prev) * before",
  ],
  ["prodigy", "distance never grows", "max(d, estimate)", "d"],
  ["prodigy", "distance may shrink", "max(d, estimate)", "estimate"],
  ["prodigy", "away from the start", "state.p0 - parameter", "parameter - state.p0"],
];

const factoryOf = (name: string): RuleFactory => rules.find(({ row }) => row.name === name)!;

/** The same rule with another shader. */
function withCode({ row }: RuleFactory, code: string): RuleFactory {
  const mutant = { ...row, shader: { ...row.shader, code } };
  return Object.assign((options: object = {}) => ({ row: mutant, options: checkOptions(mutant, options) }), {
    row: mutant,
  });
}

/** Whether any case of a rule fails. */
async function fails(factory: RuleFactory): Promise<boolean> {
  const { device, software } = watched();
  for (const { run } of ruleJobs(factory)) {
    const outcomes = await run({ device, software });
    if (outcomes.some(({ errors }) => errors.length > 0)) return true;
  }
  return false;
}

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

const common = rules.flatMap((factory) =>
  commonDefects(factory).map(([what, code]) => [factory.row.name, what, factory, code] as const),
);

test.each(common)("%s: %s", async (_, _what, factory, code) => {
  expect(code).not.toBe(factory.row.shader.code);
  expect(await fails(withCode(factory, code))).toBe(true);
});

test.each(defects)("%s: %s", async (rule, _, from, to) => {
  const factory = factoryOf(rule);
  const { code } = factory.row.shader;
  expect(code, "the text that the defect replaces").toContain(from);
  expect(await fails(withCode(factory, code.replace(from, to)))).toBe(true);
});
