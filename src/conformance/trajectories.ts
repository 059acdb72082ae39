import { OptimError } from "../index.js";

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
  /** Whether the gradients depend on the point where they are taken. */
  readonly dependsOnPoint: boolean;
  /** Rate of step t (from 1); undefined where the rule has none, so that its own default holds. */
  rate(t: number): number | undefined;
  /** Gradient of a tensor at step t; depends on the point where the run was recorded with a gradient rule. */
  gradient(t: number, tensor: string, point: Float64Array): Float64Array;
  /** Gradients of the model's output that are handed over after step t, where the file has them. */
  readonly outputs: readonly Tensors[] | undefined;
  /** Parameters after some of the steps. */
  readonly expected: ReadonlyMap<number, Tensors>;
}

/** A case of a file: a run, or what is wrong with it. */
export interface TrajectoryEntry {
  readonly id: string;
  readonly trajectory: Trajectory | OptimError;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isNumbers = (value: unknown): value is number[] => Array.isArray(value) && value.every(Number.isFinite);

/** Refuses a case by name. */
const refuse = (place: string, what: string, expected: string, got: string): never => {
  throw new OptimError("invalid-argument", `${place}: ${what}`, { expected, got, fix: "correct the file" });
};

/** A short text for what stands in the place of something else. */
const describe = (value: unknown): string =>
  Array.isArray(value)
    ? isNumbers(value)
      ? `a list of ${value.length}`
      : `a list with ${JSON.stringify(value.find((item) => !Number.isFinite(item)))?.slice(0, 40)}`
    : isObject(value)
      ? "an object"
      : value === undefined
        ? "nothing"
        : JSON.stringify(value);

/**
 * The cases of a file of format `optimizer-trajectories/1`, each read by itself, so that a bad one does not hide others.
 * @throws OptimError `invalid-argument` for another format or a file without a framework or cases.
 */
export function readTrajectoryEntries(content: unknown, file: string): TrajectoryEntry[] {
  const format = isObject(content) ? content.format : undefined;
  if (!isObject(content) || format !== "optimizer-trajectories/1")
    throw new OptimError("invalid-argument", `${file} holds no optimizer trajectories`, {
      expected: "format 'optimizer-trajectories/1'",
      got: format === undefined ? "no format" : typeof format === "string" ? `'${format}'` : describe(format),
      fix: "pass a file of this format",
    });
  const { framework, cases } = content;
  if (typeof framework !== "string")
    refuse(file, "no framework", "a name, such as 'pytorch'", describe(framework));
  if (!Array.isArray(cases) || cases.length === 0)
    return refuse(file, "no cases", "a list of at least one", describe(cases));
  return cases.map((record: unknown, index) => {
    const id = isObject(record) && typeof record.id === "string" ? record.id : `${file}#${index}`;
    try {
      return { id, trajectory: readTrajectory(String(framework), record, `Case '${id}' of ${file}`) };
    } catch (error) {
      if (error instanceof OptimError) return { id, trajectory: error };
      throw error;
    }
  });
}

/**
 * The runs of a file of format `optimizer-trajectories/1`.
 * @throws OptimError `invalid-argument` for another format, or the first case that is wrong.
 */
export function readTrajectories(content: unknown, file: string): Trajectory[] {
  return readTrajectoryEntries(content, file).map(({ trajectory }) => {
    if (trajectory instanceof OptimError) throw trajectory;
    return trajectory;
  });
}

function readTrajectory(framework: string, record: unknown, place: string): Trajectory {
  if (!isObject(record)) return refuse(place, "no record", "an object", describe(record));
  const { id, optimizer, config, tensors } = record;
  const text = (name: string, value: unknown): string =>
    typeof value === "string" ? value : refuse(place, `no ${name}`, "a string", describe(value));
  const object = (name: string, value: unknown) =>
    isObject(value) ? value : refuse(place, `no ${name}`, "an object", describe(value));

  const shapes = Object.fromEntries(
    Object.entries(object("tensors", tensors)).map(([name, shape]) =>
      isNumbers(shape) && shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)
        ? [name, shape]
        : refuse(place, `tensor '${name}' has no shape`, "a list of extents", describe(shape)),
    ),
  );
  if (Object.values(shapes).every((shape) => shape.includes(0)))
    refuse(place, "no tensors", "at least one with elements", Object.keys(shapes).join(", ") || "none");
  /** One value of each tensor, of its length. */
  const values = (what: string, given: unknown): Tensors => {
    const lists = object(what, given);
    for (const name of Object.keys(lists))
      if (!Object.hasOwn(shapes, name))
        refuse(place, `${what} has a tensor that is not in 'tensors'`, Object.keys(shapes).join(", "), name);
    return Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => {
        const list = lists[name];
        const length = shape.reduce((product, extent) => product * extent, 1);
        if (!isNumbers(list) || list.length !== length)
          refuse(
            place,
            `${what} of '${name}' does not match its shape [${shape.join(", ")}]`,
            `a list of ${length} finite numbers`,
            describe(list),
          );
        return [name, Float64Array.from(list as number[])];
      }),
    );
  };
  const list = (what: string, given: unknown): Tensors[] =>
    Array.isArray(given)
      ? given.map((item, index) => values(`${what} ${index + 1}`, item))
      : refuse(place, `${what} is no list`, "one entry a step", describe(given));

  if (record.gradient_rule !== undefined && record.gradients !== undefined)
    refuse(place, "two kinds of gradients", "'gradients' or 'gradient_rule'", "both");
  const rule = record.gradient_rule === undefined ? undefined : object("gradient_rule", record.gradient_rule);
  const given = record.gradients === undefined ? undefined : list("gradient", record.gradients);
  const outputs =
    record.output_gradients === undefined ? undefined : list("output gradient", record.output_gradients);
  const slope = rule && values("gradient_rule.a", rule.a);
  const constants = rule && list("gradient_rule.c", rule.c);
  const steps = (given ?? constants)?.length;
  const { learning_rates: rates = null } = record;
  if (!steps || (rates !== null && !(isNumbers(rates) && rates.length === steps)))
    return refuse(
      place,
      "a gradient or a rate of some step is missing",
      "'gradients' or 'gradient_rule', and as many 'learning_rates' or null",
      `${steps ?? "no"} gradients and ${rates === null ? "no" : describe(rates)} rates`,
    );
  if (outputs && outputs.length !== steps)
    refuse(place, "the output gradients of some step are missing", `${steps}`, `${outputs.length}`);
  const expected = new Map(
    Object.entries(object("expected", record.expected)).map(([step, parameters]) => {
      const t = Number(step);
      if (!(Number.isSafeInteger(t) && t >= 1 && t <= steps && String(t) === step))
        refuse(place, "an expected step is none of the run", `a step from 1 to ${steps}`, `'${step}'`);
      return [t, values(`expected after step ${step}`, parameters)] as const;
    }),
  );
  if (expected.size === 0) refuse(place, "nothing is expected", "parameters after at least one step", "none");
  return {
    id: text("id", id),
    framework,
    optimizer: text("optimizer", optimizer),
    config: object("config", config),
    steps,
    shapes,
    initial: values("initial", record.initial),
    dependsOnPoint: given === undefined,
    rate: (t) => rates?.[t - 1],
    gradient(t, tensor, point) {
      if (given) return given[t - 1]![tensor]!;
      const a = slope![tensor]!;
      const c = constants![t - 1]![tensor]!;
      return point.map((x, i) => a[i]! * x + c[i]!);
    },
    outputs,
    expected,
  };
}
