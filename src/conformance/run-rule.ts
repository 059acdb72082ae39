import {
  type BufferRange,
  createOptimizer,
  type OptimizerOptions,
  type Rule,
  type Schedule,
} from "../index.js";
import { keptBy, type Run } from "./judge.js";
import { normals } from "./numbers.js";
import { record } from "./record.js";
import { beyond, ELEMENTS, RATE_CHANGE, type Regime, regimes, STEPS } from "./regimes.js";

/** One tensor's part of a run over all regimes. */
export interface RegimeRun {
  /** Regime and kernel, such as `noisy, four lanes`. */
  readonly name: string;
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
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
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

/**
 * Whether a free run in f32 is that in float64. Prodigy's rate is measured from how far parameters have come, of which f32
 * keeps few digits; a centered variance over few gradients that are alike is what rounding leaves of it. Each step by
 * itself is judged all the same.
 */
export const runsFree = ({ row: { name }, options: { alpha } }: Rule): boolean =>
  name !== "prodigy" && !(name.startsWith("rmsprop-centered") && Number(alpha) < 0.5);

/** Rules that tiny gradients are another thing to in f32, with the reason. */
const NOT_TINY: Readonly<Record<string, string>> = {
  "rmsprop-nesterov": "without an ε, a gradient whose square is zero is none at all",
  prodigy: "it adds up what is subnormal, and may be flushed to zero",
};

/** Runs a rule over every regime through both kernels, in one submit; one regime a submit where sums go over all tensors. */
export async function runRule(
  device: GPUDevice,
  rule: Rule,
  schedule: Schedule = change,
  extras: Extras = {},
): Promise<RegimeRun[]> {
  const judged = regimes.filter(({ name }) => name !== "tiny" || !Object.hasOwn(NOT_TINY, rule.row.name));
  if (rule.row.scope !== "all") return runRegimes(device, rule, schedule, judged, extras);
  const results: RegimeRun[] = [];
  for (const regime of judged)
    results.push(
      joined(regime.name, regime.free, await runRegimes(device, rule, schedule, [regime], extras)),
    );
  return results;
}

/** Tensors that share their sums, as one. @param free whether the run is judged as a whole, if each part may be */
export function joined(name: string, free: boolean, parts: readonly RegimeRun[]): RegimeRun {
  const { rule, rates, gradients, estimates = [], after } = parts[0]!.run;
  const { states } = rule.row.shader;
  const all = (of: (run: Run) => Float32Array) => Float32Array.from(parts.flatMap(({ run }) => [...of(run)]));
  return {
    name,
    free: free && parts.every((part) => part.free),
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
        initial: normals(20 + r, ELEMENTS),
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
        estimates: (t) => estimates[t - 1] && tensors.map(() => estimates[t - 1]!),
        watch: [
          ...tensors.map(({ param }) => param),
          ...kinds.flatMap((kind) => tensors.map(({ name }) => optimizer.state(name, kind))),
        ],
      });
      return tensors.map(({ name, regime, initial }, index) => ({
        name,
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

/** Runs a rule under gradients up to 1e30; gives where parameters or states are not finite. */
export async function runBeyond(device: GPUDevice, rule: Rule): Promise<string[]> {
  const initial = normals(9, beyond(1).length);
  const params = storage(device, "conformance parameters", initial.byteLength);
  const grads = storage(device, "conformance gradients", initial.byteLength);
  device.queue.writeBuffer(params, 0, Float32Array.from(initial));
  try {
    const optimizer = await createOptimizer(device, {
      rule,
      parameters: [{ name: "x", param: params, grad: grads }],
      stepsInFlight: 2 * STEPS,
    });
    try {
      const whole = (buffer: GPUBuffer): BufferRange => ({ buffer, offset: 0, size: initial.byteLength });
      const kinds = keptBy(rule);
      const { after } = await record(device, optimizer, {
        steps: STEPS,
        grads: [whole(grads)],
        gradients: (t) => [beyond(t)],
        watch: [whole(params), ...kinds.map((kind) => optimizer.state("x", kind))],
      });
      return after.flatMap((kept, index) =>
        kept.flatMap((values, k) =>
          [...values.entries()]
            .filter(([, value]) => !Number.isFinite(value))
            .map(([i, value]) => `${["θ", ...kinds][k]}[${i}] at step ${index + 1}: ${value}`),
        ),
      );
    } finally {
      optimizer.destroy();
    }
  } finally {
    params.destroy();
    grads.destroy();
  }
}
