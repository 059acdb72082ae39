import { briefly, checkKeys, OptimError } from "../../errors.js";
import type { Engine } from "../engine.js";
import { USAGE } from "../memory/usage.js";
import { encodeStep } from "../verbs.js";
import { Line } from "./line.js";
import { type Sample, strongWolfe } from "./strong-wolfe.js";

/** Computes the loss and its gradients at the parameters as they are, these where the optimizer reads them. */
export type Closure = () => number | Promise<number>;

/** Options of `minimize`, with PyTorch's defaults. */
export interface MinimizeOptions {
  /** Steps at most, 20. */
  readonly iterations?: number;
  /** Calls of the closure after which no further step is begun, five fourths of the steps. */
  readonly evaluations?: number;
  /** Ends where no element of the gradient is larger, 1e-7. */
  readonly toleranceGradient?: number;
  /** Ends where neither a parameter nor the loss changes by more, 1e-9. */
  readonly toleranceChange?: number;
  /** How far to go along a step: as far as it goes, or to where the strong Wolfe conditions hold (c₁ 1e-4, c₂ 0.9). */
  readonly lineSearch?: "strongWolfe" | "none";
}

/** What `minimize` came to. */
export interface Minimized {
  /** The loss where the parameters are. */
  readonly loss: number;
  readonly iterations: number;
  /** Calls of the closure. */
  readonly evaluations: number;
  /** Why it ended; `direction`: no step leads downhill. */
  readonly reason: "gradient" | "change" | "direction" | "iterations" | "evaluations";
}

const DEFAULTS = { iterations: 20, toleranceGradient: 1e-7, toleranceChange: 1e-9 };
/** Calls of the closure in a line search. */
const SAMPLES = 25;
const DECREASE = 1e-4;
const CURVATURE = 0.9;

function checked(engine: Engine, options: MinimizeOptions) {
  checkKeys("invalid-argument", "minimize", options, [...Object.keys(DEFAULTS), "evaluations", "lineSearch"]);
  const { lineSearch = "strongWolfe" } = options;
  if (lineSearch !== "strongWolfe" && lineSearch !== "none")
    throw engine.refusal("has no such line search", "'strongWolfe' or 'none'", briefly(lineSearch));
  const numbers = { ...DEFAULTS, evaluations: Math.floor((options.iterations ?? 20) * 1.25), ...options };
  for (const name of ["iterations", "evaluations", "toleranceGradient", "toleranceChange"] as const) {
    const value: unknown = numbers[name];
    const whole = !name.startsWith("tolerance");
    if (typeof value === "number" && value >= Number(whole) && (!whole || Number.isSafeInteger(value)))
      continue;
    const expected = whole ? "a whole number of at least 1" : "a number of at least 0";
    throw engine.refusal(`minimizes by no such '${name}'`, expected, briefly(value));
  }
  return { ...numbers, lineSearch };
}

/** What is copied must be readable, parameters also writable. @throws OptimError `invalid-buffer` */
function requireCopies(engine: Engine): void {
  for (const [name, { tensor }] of engine.tensors)
    for (const [what, { buffer }, usage, words] of [
      ["parameter", tensor.param, USAGE.COPY_SRC | USAGE.COPY_DST, "COPY_SRC and COPY_DST"],
      ["gradient", tensor.gradient, USAGE.COPY_SRC, "COPY_SRC"],
    ] as const)
      if ((buffer.usage & usage) !== usage)
        throw new OptimError("invalid-buffer", `The ${what} of '${name}' cannot be copied`, {
          expected: `usage ${words} beside STORAGE`,
          got: `usage 0x${buffer.usage.toString(16)}`,
          fix: `create its buffer with ${words}`,
        });
}

/**
 * Steps towards a minimum, each by a line search along what the rule's step changes.
 * @throws OptimError `invalid-argument` for a loss that is no finite number, then with the parameters as they were before the
 * step; `invalid-buffer` for what cannot be copied; and as a step does
 */
export async function minimize(
  engine: Engine,
  closure: Closure,
  options: MinimizeOptions = {},
): Promise<Minimized> {
  const { iterations: most, evaluations: calls, lineSearch, ...tolerances } = checked(engine, options);
  const { toleranceGradient, toleranceChange } = tolerances;
  if (typeof closure !== "function")
    throw engine.refusal("minimizes nothing", "a function that gives the loss", briefly(closure));
  engine.requireIdle("minimize()");
  requireCopies(engine);
  const tensors = [...engine.tensors.values()].map(({ tensor }) => tensor).filter(({ size }) => size > 0);
  let evaluations = 0;
  const evaluate = async (): Promise<number> => {
    evaluations += 1;
    const loss: unknown = await closure();
    if (typeof loss === "number") return loss;
    throw engine.refusal("has a closure that gives no loss", "a number", briefly(loss));
  };
  const noFinite = (loss: number, where: string) =>
    engine.refusal(`finds no finite loss ${where}`, "a finite number from the closure", briefly(loss));
  let loss = await evaluate();
  if (!Number.isFinite(loss)) throw noFinite(loss, "to begin with");
  const line = await Line.over(engine.device, `${engine.label} line search`, tensors);
  let iterations = 0;
  const ended = (reason: Minimized["reason"]): Minimized => ({ loss, iterations, evaluations, reason });
  try {
    if ((await line.measure()).gradient <= toleranceGradient) return ended("gradient");
    while (iterations < most) {
      line.begin();
      engine.submit("step", (encoder) => encodeStep(engine, encoder, {}));
      line.direct();
      iterations += 1;
      const { slope, direction } = await line.measure();
      if (lineSearch === "strongWolfe" && !(slope < -toleranceChange)) {
        line.move(0);
        return ended("direction");
      }
      const start: Sample = { t: 0, value: loss, slope };
      let at = 1;
      const sample = async (t: number): Promise<Sample> => {
        if (t !== at) line.move(t);
        at = t;
        const value = await evaluate();
        return { t, value, slope: Number.isFinite(value) ? (await line.measure()).slope : Number.NaN };
      };
      const first = await sample(1);
      const width = toleranceChange / direction;
      const bounds = { decrease: DECREASE, curvature: CURVATURE, samples: SAMPLES, width };
      const found = lineSearch === "none" ? first : await strongWolfe(sample, start, first, bounds);
      if (!Number.isFinite(found.value) || (found === start && !Number.isFinite(first.value))) {
        line.move(0);
        throw noFinite(first.value, "along a step");
      }
      const before = loss;
      loss = found.value;
      // Gradients are those of the last point that was tried.
      if (found.t !== at) {
        line.move(found.t);
        at = found.t;
        loss = await evaluate();
      }
      const { gradient } = await line.measure();
      if (gradient <= toleranceGradient) return ended("gradient");
      const still = Math.abs(found.t) * direction <= toleranceChange;
      if (still || Math.abs(loss - before) < toleranceChange) return ended("change");
      if (evaluations >= calls && iterations < most) return ended("evaluations");
    }
    return ended("iterations");
  } finally {
    line.destroy();
  }
}
