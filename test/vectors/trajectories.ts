import { OptimError } from "../../src/errors.js";

/** Values of every tensor, flat, under the tensors' names. */
export type Tensors = Readonly<Record<string, Float64Array>>;

/** One run of one optimizer: what goes in at each step, and the parameters that come out. */
export interface Trajectory {
  readonly id: string;
  /** Framework whose names and spelling `optimizer` and `config` are in. */
  readonly framework: string;
  readonly optimizer: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly steps: number;
  /** Shape of every tensor. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly initial: Tensors;
  /** Rate of step t (from 1); undefined where the rule has none, so that its own default holds. */
  rate(t: number): number | undefined;
  /** Gradient of a tensor at step t; depends on the point where the run was recorded with a gradient rule. */
  gradient(t: number, tensor: string, point: Float64Array): Float64Array;
  /** Parameters after some of the steps. */
  readonly expected: ReadonlyMap<number, Tensors>;
}

interface TrajectoryFile {
  readonly format: "optimizer-trajectories/1";
  readonly framework: string;
  readonly cases: readonly TrajectoryRecord[];
}

type TensorRecord = Readonly<Record<string, readonly number[]>>;

interface TrajectoryRecord {
  readonly id: string;
  readonly optimizer: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly learning_rates: readonly number[] | null;
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  readonly initial: TensorRecord;
  readonly gradients?: readonly TensorRecord[];
  /** g_t(x) = a·x + c[t − 1], at the point x that the rule asks for. */
  readonly gradient_rule?: { readonly a: TensorRecord; readonly c: readonly TensorRecord[] };
  readonly expected: Readonly<Record<string, TensorRecord>>;
}

/**
 * The runs of one file of format `optimizer-trajectories/1`.
 * @throws OptimError `invalid-argument` for another format, or a case without gradients.
 */
export function readTrajectories(content: unknown, file: string): Trajectory[] {
  const format = typeof content === "object" && content !== null && "format" in content && content.format;
  if (format !== "optimizer-trajectories/1")
    throw new OptimError("invalid-argument", `${file} holds no optimizer trajectories`, {
      expected: "format 'optimizer-trajectories/1'",
      got: format ? `'${format}'` : "no format",
      fix: "pass a file of this format",
    });
  const { framework, cases } = content as TrajectoryFile;
  return cases.map((record) => trajectory(framework, record, file));
}

function trajectory(framework: string, record: TrajectoryRecord, file: string): Trajectory {
  const { id, optimizer, config, learning_rates: rates, tensors, initial, expected } = record;
  const steps = (record.gradients ?? record.gradient_rule?.c)?.length;
  if (steps === undefined || (rates !== null && rates.length !== steps))
    throw new OptimError(
      "invalid-argument",
      `Case '${id}' of ${file} lacks a gradient or a rate of some step`,
      {
        expected: "'gradients' or 'gradient_rule', and as many 'learning_rates' or null",
        got: `${steps ?? "no"} gradients and ${rates?.length ?? "no"} rates`,
        fix: "write one of each per step",
      },
    );
  return {
    id,
    framework,
    optimizer,
    config,
    steps,
    shapes: tensors,
    initial: flat(initial),
    rate: (t) => rates?.[t - 1],
    gradient(t, tensor, point) {
      if (record.gradients) return Float64Array.from(record.gradients[t - 1]![tensor]!);
      const { a, c } = record.gradient_rule!;
      return point.map((x, i) => a[tensor]![i]! * x + c[t - 1]![tensor]![i]!);
    },
    expected: new Map(Object.entries(expected).map(([step, values]) => [Number(step), flat(values)])),
  };
}

const flat = (record: TensorRecord): Tensors =>
  Object.fromEntries(Object.entries(record).map(([name, values]) => [name, Float64Array.from(values)]));

const files = import.meta.glob<unknown>("./*/optimizers/*.json", { eager: true, import: "default" });

/** The runs of every file beside this one, in Node and in the page alike. */
export const trajectories: readonly Trajectory[] = Object.entries(files).flatMap(([file, content]) =>
  readTrajectories(content, file),
);
