import { USAGE } from "../engine/memory/usage.js";
import {
  type BufferRange,
  createOptimizer,
  type OptimizerOptions,
  type Rule,
  type Schedule,
} from "../index.js";
import { type ReferenceState, referenceState, referenceStep } from "../reference/step.js";
import { isCautious } from "../rule.js";
import { QUICK } from "../shaders/prelude.js";
import { keptBy, type Run } from "./judge.js";
import { normals } from "./numbers.js";
import { lossesOf, type Recorded, record } from "./record.js";
import { beyond, ELEMENTS, RATE_CHANGE, type Regime, regimes, STEPS } from "./regimes.js";

/** One tensor's part of a run over all regimes. */
export interface RegimeRun {
  /** Regime and kernel, such as `noisy, four lanes`. */
  readonly name: string;
  readonly stepwise: boolean;
  readonly free: boolean;
  readonly run: Run;
}

const BYTES = ELEMENTS * 4;

/**
 * The same gradients through both kernels: where parameter and gradient lie alike, four lanes are taken at once; where
 * they differ modulo 16 bytes, one. Offsets in bytes.
 */
const kernels = [
  { name: "four lanes", param: 0, grad: 0 },
  { name: "one lane", param: 4, grad: 8 },
] as const;

/** A storage buffer that can be copied from and to. */
export const storage = (device: GPUDevice, label: string, size: number): GPUBuffer =>
  device.createBuffer({
    label,
    size,
    usage: USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST,
  });

/** Steps from one estimate of curvature to the next, for rules that take one. */
const EVERY = 5;
/** Curvatures that differ in size by element; some are negative. */
const estimateOf = (step: number) =>
  normals(70 + step, ELEMENTS).map(
    (value, i) => (i % 4 === 3 ? value : Math.abs(value)) * 10 ** ((i % 5) - 2),
  );

/** What a run goes through beside the rule. */
export type Extras = Pick<OptimizerOptions, "guards" | "telemetry" | "compensated">;

/** A rate that changes in mid-run. */
const change: Schedule = (step) => (step < RATE_CHANGE - 1 ? 1 : 0.25);

/** Whether a regime means the same to a rule in f32 as in float64. */
function meansTheSame(regime: string, { row: { name, reference, shader }, options }: Rule): boolean {
  // What a rule of the caller's does at the edges is its own.
  if (reference) return !["zeros", "vanished", "spikes"].includes(regime);
  switch (regime) {
    case "tiny":
    case "vanished":
      // Without an ε, a gradient whose square is zero is none at all. Prodigy moves by a millionth of a gradient at first.
      if (name === "rmsprop-nesterov" || name === "prodigy") return false;
      // Nor does a loss below its least value belong to such gradients: the step back leaves f32.
      if (name === "polyak-sgd") return false;
      // What m loses of such a gradient, its direction keeps as a state.
      if (name === "optimistic-adam") return regime === "tiny";
      // A tenth of the smallest normal number is zero: no moment to divide, and no sign for cautious decay to see.
      return regime === "tiny" || !(options.eps === 0 || options.decay === "cautious" || isCautious(options));
    case "far":
      // Its rate grows with the distance, and the decay of a large parameter with both: in float64 it parts for good, too.
      return name !== "prodigy" || options.weightDecay === 0;
    case "zeros":
      // For what is summed over a tensor; in others elements have such gradients already.
      return shader.sums.length > 0;
    case "spikes":
      // Before the rectification is defined, an update is the gradient itself, which stops at 2^62.
      if (name.startsWith("radam") || options.rectify) return false;
      // Without a clip, such a gradient is divided by what was before it.
      if (name === "adopt") return options.form === "clipped";
      // By other powers than the root, larger gradients move further.
      if (name === "ftrl") return options.learningRatePower === -0.5;
      // At a rate of 1 and more, z leaves f32.
      if (name === "schedule-free-sgd") return false;
      // Elements that stop there have other shares of the norm, or of the distance.
      return !["novograd", "lars", "fromage", "polyak-sgd", "prodigy"].includes(name);
    default:
      return true;
  }
}

/**
 * Whether a free run in f32 is that in float64. Prodigy's rate grows from how far the parameters have come, and any
 * rounding with it; the variance of few gradients that are alike has the digits that their differences have. Each step by
 * itself is judged all the same.
 */
const runsFree = ({ row: { name }, options: { alpha } }: Rule): boolean =>
  name !== "prodigy" && !(name.startsWith("rmsprop-centered") && Number(alpha) < 0.5);

/** Runs a rule over every regime through both kernels, in one submit; one regime a submit where sums go over all tensors. */
export async function runRule(
  device: GPUDevice,
  rule: Rule,
  schedule: Schedule = change,
  extras: Extras = {},
  isWanted: (regime: string) => boolean = () => true,
): Promise<RegimeRun[]> {
  const judged = regimes.filter(({ name }) => meansTheSame(name, rule) && isWanted(name));
  if (rule.row.scope !== "all") return runRegimes(device, rule, schedule, judged, extras);
  const results: RegimeRun[] = [];
  for (const regime of judged)
    results.push(joined(regime.name, await runRegimes(device, rule, schedule, [regime], extras)));
  return results;
}

/** Tensors that share their sums, as one. */
export function joined(name: string, parts: readonly RegimeRun[]): RegimeRun {
  const { rule, rates, gradients, estimates = [], after } = parts[0]!.run;
  const { states } = rule.row.shader;
  const all = (of: (run: Run) => Float32Array) => Float32Array.from(parts.flatMap(({ run }) => [...of(run)]));
  return {
    name,
    stepwise: parts.every(({ stepwise }) => stepwise),
    free: parts.every(({ free }) => free),
    run: {
      rule,
      rates,
      initial: all(({ initial }) => initial),
      gradients: gradients.map((_, step) => all((run) => run.gradients[step]!)),
      estimates: estimates.map((estimate, step) => estimate && all((run) => run.estimates![step]!)),
      after: after.map((values, step) =>
        // Parameters and states go on end; what is settled is the same for each.
        values.map((value, k) => (k <= states.length ? all((run) => run.after[step]![k]!) : value)),
      ),
    },
  };
}

async function runRegimes(
  device: GPUDevice,
  rule: Rule,
  schedule: Schedule,
  regimes: readonly Regime[],
  extras: Extras,
): Promise<RegimeRun[]> {
  const block = regimes.length * BYTES + 16;
  const size = Math.ceil((kernels.length * block) / 256) * 256;
  const params = storage(device, "conformance parameters", size);
  const grads = storage(device, "conformance gradients", size);
  const range = (buffer: GPUBuffer, offset: number): BufferRange => ({ buffer, offset, size: BYTES });
  const tensors = kernels.flatMap((kernel, k) =>
    regimes.map((regime: Regime, r) => {
      const at = k * block + r * BYTES;
      return {
        name: `${regime.name}, ${kernel.name}`,
        regime,
        initial: regime.initial ?? normals(20 + r, ELEMENTS),
        param: range(params, at + kernel.param),
        grad: range(grads, at + kernel.grad),
      };
    }),
  );
  for (const { param, initial } of tensors)
    device.queue.writeBuffer(params, param.offset, Float32Array.from(initial));
  const estimates = Array.from({ length: STEPS }, (_, step) =>
    rule.row.shader.curvature && step % EVERY === 0 ? estimateOf(step) : undefined,
  );
  const rows = Array.from({ length: STEPS }, (_, step) =>
    regimes.map(({ gradients }) => gradients(step + 1)),
  );
  try {
    const optimizer = await createOptimizer(device, {
      rule,
      schedule,
      parameters: tensors.map(({ name, param, grad }) => ({ name, param, grad })),
      stepsInFlight: 3 * STEPS,
      ...extras,
    });
    try {
      const kinds = keptBy(rule);
      const { rates, after } = await record(device, optimizer, {
        steps: STEPS,
        grads: tensors.map(({ grad }) => grad),
        gradients: (t) => kernels.flatMap(() => rows[t - 1]!),
        losses: lossesOf(rule.row),
        estimates: (t) => estimates[t - 1] && tensors.map(() => estimates[t - 1]!),
        watch: [
          ...tensors.map(({ param }) => param),
          ...kinds.flatMap((kind) => tensors.map(({ name }) => optimizer.state(name, kind))),
        ],
      });
      return tensors.map(({ name, regime, initial }, index) => ({
        name,
        stepwise: regime.stepwise ?? true,
        free: regime.free && runsFree(rule),
        run: {
          rule,
          initial,
          gradients: rows.map((row) => row[index % regimes.length]!),
          estimates,
          rates,
          // Parameters of all tensors come first, then each kind of state.
          after: after.map((values) =>
            Array.from({ length: 1 + kinds.length }, (_, k) => values[k * tensors.length + index]!),
          ),
        },
      }));
    } finally {
      optimizer.destroy();
    }
  } finally {
    params.destroy();
    grads.destroy();
  }
}

/** What a rule keeps of one tensor after each step, parameters first. */
async function runTensor(
  device: GPUDevice,
  rule: Rule,
  initial: Float32Array,
  steps: number,
  gradients: (t: number) => Float32Array,
  states: Readonly<Record<string, Float32Array>> = {},
): Promise<Recorded> {
  const params = storage(device, "conformance parameters", initial.byteLength);
  const grads = storage(device, "conformance gradients", initial.byteLength);
  device.queue.writeBuffer(params, 0, Float32Array.from(initial));
  try {
    const optimizer = await createOptimizer(device, {
      rule,
      parameters: [{ name: "x", param: params, grad: grads }],
      stepsInFlight: 2 * steps,
    });
    try {
      for (const [name, values] of Object.entries(states)) {
        const { buffer, offset } = optimizer.state("x", name);
        device.queue.writeBuffer(buffer, offset, Float32Array.from(values));
      }
      const whole = (buffer: GPUBuffer): BufferRange => ({ buffer, offset: 0, size: initial.byteLength });
      return await record(device, optimizer, {
        steps,
        grads: [whole(grads)],
        gradients: (t) => [gradients(t)],
        losses: lossesOf(rule.row),
        watch: [whole(params), ...keptBy(rule).map((kind) => optimizer.state("x", kind))],
      });
    } finally {
      optimizer.destroy();
    }
  } finally {
    params.destroy();
    grads.destroy();
  }
}

/** Runs a rule under gradients up to 1e30; gives where parameters or states are not finite. */
export async function runBeyond(device: GPUDevice, rule: Rule): Promise<string[]> {
  const { after } = await runTensor(device, rule, normals(9, beyond(1).length), STEPS, beyond);
  return after.flatMap((kept, index) =>
    kept.flatMap((values, k) =>
      [...values.entries()]
        .filter(([, value]) => !Number.isFinite(value))
        .map(([i, value]) => `${["θ", ...keptBy(rule)][k]}[${i}] at step ${index + 1}: ${value}`),
    ),
  );
}

/** For four lanes and for one. */
const BROKEN = Float32Array.of(0.5, Number.NaN, Infinity, -Infinity, -0.5, Number.NaN, Infinity);

/**
 * Runs a rule under a gradient that is not finite, and then under one that is; gives the parameters that are finite all the
 * same, and those beside them that are not.
 */
export async function runBroken(device: GPUDevice, rule: Rule): Promise<string[]> {
  const { after } = await runTensor(device, rule, new Float32Array(BROKEN.length).fill(1), 3, (t) =>
    t === 1 ? BROKEN : new Float32Array(BROKEN.length).fill(0.25),
  );
  // What is summed over a tensor takes its neighbours along.
  const alone = rule.row.shader.sums.length === 0;
  return after.flatMap(([parameters], index) =>
    [...parameters!].flatMap((value, i) => {
      const expected = Number.isFinite(BROKEN[i]);
      return Number.isFinite(value) === expected || (expected && !alone)
        ? []
        : [`θ[${i}] at step ${index + 1}: ${value} after a gradient of ${BROKEN[i]}`];
    }),
  );
}

/** So near to 1 that f32 holds 1 − β a sixth off. */
const SLOWEST = 0.9999999;
/** β and 1 − β rounded apart part by 2e-8 a step. */
const STEADY_STEPS = 1024;
/** Of what is kept; the roundings of so many steps come to a few ULP. */
const STEADY = 4e-6;

/** Decay rates of a rule's averages, at a value. */
const decayRates = ({ options }: Rule["row"], value: number) =>
  Object.fromEntries(
    Object.entries(options).flatMap(([name, spec]) =>
      spec.kind === "number" && spec.exclusiveMax && /^(alpha|beta|momentum|rho)/.test(name)
        ? [[name, value]]
        : [],
    ),
  );

/** Whether a rule averages as the library does, each tensor by itself: such averages are to stay where they are. */
export const isSteady = (row: Rule["row"]): boolean =>
  row.shader.overrides.includes(QUICK) &&
  row.scope !== "all" &&
  Object.keys(decayRates(row, SLOWEST)).length > 0;

/**
 * Whether the averages of a rule, as slow as they can be, stay where they are under a gradient that stays: what is off
 * against float64 after many steps from the averages' own limits.
 */
export async function runSteady(device: GPUDevice, make: (options: object) => Rule): Promise<string[]> {
  const { row } = make({});
  const rule = make({ ...decayRates(row, SLOWEST), weightDecay: 0 });
  const initial = normals(80, ELEMENTS);
  const gradient = normals(81, ELEMENTS).map((value) => value + 2 * Math.sign(value));
  const start = Float64Array.from(initial);
  const fresh = referenceState(row, rule.options, start);
  // Averages that keep nothing are what they take in. One that takes in nothing decays.
  const { options } = make({ ...decayRates(row, 0), weightDecay: 0 });
  const limits = referenceStep(
    row,
    options,
    { t: 1, lr: 0 },
    start,
    Float64Array.from(gradient),
    fresh,
  ).state;
  const judged = row.shader.states.filter((name) => !row.startsAtParameter?.includes(name));
  const states = Object.fromEntries(
    judged.map((name) => [name, Float32Array.from(limits[name]!, (value) => value || 1)]),
  );
  const { rates, after } = await runTensor(device, rule, initial, STEADY_STEPS, () => gradient, states);
  let state: ReferenceState = {
    ...fresh,
    ...Object.fromEntries(Object.entries(states).map(([name, values]) => [name, Float64Array.from(values)])),
  };
  let parameters: Float64Array = start;
  for (const [index, lr] of rates.entries())
    ({ parameters, state } = referenceStep(
      row,
      rule.options,
      { t: index + 1, lr },
      parameters,
      Float64Array.from(gradient),
      state,
    ));
  const kinds = keptBy(rule);
  return [...judged, ...row.shader.settled].flatMap((name) =>
    [...after.at(-1)![1 + kinds.indexOf(name)]!].flatMap((value, i) => {
      const expected = state[name]![i]!;
      const far = (other: number) => Math.abs(other - expected) > STEADY * Math.abs(expected);
      // What does not stay where it was is no average of the gradient.
      return far(states[name]?.[i] ?? expected) || !far(value)
        ? []
        : [`${name}[${i}] after ${STEADY_STEPS} steps: ${value}, expected ${expected}`];
    }),
  );
}
