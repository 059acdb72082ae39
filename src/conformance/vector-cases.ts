import { READ, USAGE } from "../engine/memory/usage.js";
import { type BufferRange, createOptimizer, fromFramework, OptimError, type Rule } from "../index.js";
import type { CaseHead, Job, Place } from "./job.js";
import { finite, keptBy, type Run, trajectoryBound } from "./judge.js";
import { judgeRuns, noOutcome, type Outcome, worse } from "./outcome.js";
import { record } from "./record.js";
import { joined, type RegimeRun, storage } from "./run-rule.js";
import { checkScheduleCase, readScheduleVectors } from "./schedule-vectors.js";
import { readTrajectoryEntries, type Trajectory } from "./trajectories.js";

/** A file of vectors: its name, for messages and ids, and its text. */
export interface VectorFile {
  readonly file: string;
  readonly text: string;
}

const failing = (head: CaseHead, error: Error): Job => ({
  cases: [head],
  run: () => Promise.reject(error),
});

/** The cases of a file; a file or a case that cannot be read is a case that fails. */
export function vectorJobs({ file, text }: VectorFile, isWanted: (rule: string) => boolean): Job[] {
  const head = (id: string, rule = ""): CaseHead => ({ id: `vector/${id}`, kind: "vector", rule });
  try {
    const content = parse(text, file);
    const format = formatOf(content);
    if (format === "schedules/1") return isWanted("") ? scheduleJobs(content, file) : [];
    if (format !== "optimizer-trajectories/1")
      throw new OptimError("invalid-argument", `${file} holds no vectors`, {
        expected: "format 'optimizer-trajectories/1' or 'schedules/1'",
        got: format === undefined ? "no format" : `'${format}'`,
        fix: "pass a file of one of these formats",
      });
    return readTrajectoryEntries(content, file).flatMap(({ id, trajectory }): Job[] => {
      if (trajectory instanceof OptimError) return isWanted("") ? [failing(head(id), trajectory)] : [];
      const { framework, optimizer, config } = trajectory;
      const where = `Case '${id}' of ${file}`;
      let rule: Rule;
      try {
        rule = fromFramework(framework, optimizer, config);
      } catch (error) {
        if (!(error instanceof OptimError)) throw error;
        const named = new OptimError(error.code, `${where}: ${error.message}`, {}, { cause: error });
        return isWanted("") ? [failing({ ...head(id), dialect: framework }, named)] : [];
      }
      if (!isWanted(rule.row.name)) return [];
      return [
        {
          cases: [{ ...head(id, rule.row.name), dialect: framework }],
          run: async (place) => {
            const { errors, ...figures } = await judgeVector(place, rule, trajectory).catch(failed);
            return [
              { ...figures, errors: errors.map((error, i) => (i === 0 ? `${where}: ${error}` : error)) },
            ];
          },
        },
      ];
    });
  } catch (error) {
    if (error instanceof OptimError) return isWanted("") ? [failing(head(file), error)] : [];
    throw error;
  }
}

/** The outcome of a run that threw; a lost device ends more than one run. */
function failed(error: unknown): Outcome {
  if (error instanceof OptimError && error.code === "device-lost") throw error;
  return { ...noOutcome, errors: [error instanceof Error ? error.message : String(error)] };
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OptimError(
      "invalid-argument",
      `${file} is no JSON`,
      { expected: "a whole file of vectors", got: String(cause), fix: "write the file again" },
      { cause },
    );
  }
}

/** What a file says it is. */
const formatOf = (content: unknown): string | undefined =>
  typeof content === "object" && content !== null && "format" in content && typeof content.format === "string"
    ? content.format
    : undefined;

/** The cases of a file of schedules: mathematics of the host, by no rule. */
const scheduleJobs = (content: unknown, file: string): Job[] =>
  readScheduleVectors(content, file).map((given) => {
    const head = { id: `vector/${given.id}`, kind: "vector", rule: "" } as const;
    if ("error" in given) return failing(head, given.error);
    const { framework, schedule } = given;
    return {
      cases: [{ ...head, dialect: framework, schedule }],
      run: async () => {
        const { passed, worstError, at } = checkScheduleCase(given);
        const where = `step ${at}: off by ${worstError.toPrecision(3)} of the rate`;
        return [
          {
            ...noOutcome,
            worstError: finite(worstError),
            at: worstError === 0 ? "" : where,
            errors: passed ? [] : [`Case '${given.id}' of ${file}: ${where}`],
          },
        ];
      },
    };
  });

async function judgeVector(place: Place, rule: Rule, trajectory: Trajectory): Promise<Outcome> {
  const runs = await runTrajectory(place.device, rule, trajectory);
  const judged = rule.row.scope === "all" ? [joined("all tensors", runs)] : runs;
  // Each step by itself against the reference, and the whole run against the file.
  const whole = runs.map(({ name, run }) =>
    compare(
      name,
      run.after.map(([values]) => values!),
      trajectory,
    ),
  );
  return whole.reduce(worse, judgeRuns(judged, place.software));
}

/** Where a free run is off by more than the bound times 1 + the largest |θ| of the element along the run. */
function compare(
  name: string,
  after: readonly ArrayLike<number>[],
  { initial, expected }: Trajectory,
): Outcome {
  const along = [initial[name]!, ...[...expected.values()].map((values) => values[name]!)];
  const largest = along[0]!.map((_, i) => Math.max(...along.map((values) => Math.abs(values[i]!))));
  const errors: string[] = [];
  let worstError = 0;
  let at = "";
  for (const [t, values] of expected)
    values[name]!.forEach((value, i) => {
      const got = after[t - 1]![i]!;
      const error = finite(Math.abs(got - value) / (1 + largest[i]!));
      const where = () => `${name}: θ[${i}] after step ${t}: ${got}, expected ${value}`;
      if (error > worstError) {
        worstError = error;
        at = where();
      }
      if (!(error <= trajectoryBound)) errors.push(where());
    });
  return { ...noOutcome, worstError, at, errors };
}

/** Runs a trajectory on the GPU; gives each tensor's run. */
async function runTrajectory(device: GPUDevice, rule: Rule, trajectory: Trajectory): Promise<RegimeRun[]> {
  const { steps, shapes, initial, dependsOnPoint, outputs } = trajectory;
  const names = Object.keys(initial).filter((name) => initial[name]!.length > 0);
  const kindsOf = (name: string) => keptBy(rule, shapes[name]);
  const tensors = names.map((name) => {
    const size = initial[name]!.length * 4;
    const range = (label: string): BufferRange => ({
      buffer: storage(device, `conformance ${name} ${label}`, size),
      offset: 0,
      size,
    });
    return { name, param: range("parameter"), grad: range("gradient"), shape: shapes[name]! };
  });
  try {
    tensors.forEach(({ name, param }) => {
      device.queue.writeBuffer(param.buffer, 0, Float32Array.from(initial[name]!));
    });
    const optimizer = await createOptimizer(device, { rule, parameters: tensors, stepsInFlight: 3 * steps });
    try {
      const gradients: Float32Array[][] = [];
      const gradientsOf = (t: number, points: readonly ArrayLike<number>[]) => {
        const rows = names.map((name, index) =>
          Float32Array.from(trajectory.gradient(t, name, Float64Array.from(points[index] ?? []))),
        );
        gradients.push(rows);
        return rows;
      };
      const setRate = (t: number) => {
        const lr = trajectory.rate(t);
        if (lr !== undefined) optimizer.groups[0]!.lr = lr;
      };
      const params = tensors.map(({ param }) => param);
      const watch = tensors.flatMap(({ name, param }) => [
        param,
        ...kindsOf(name).map((kind) => optimizer.state(name, kind)),
      ]);
      const rates: number[] = [];
      const after: (readonly Float32Array[])[] = [];
      if (dependsOnPoint)
        for (let t = 1; t <= steps; t += 1) {
          setRate(t);
          optimizer.lookahead();
          // After the look-ahead, the parameters are the point at which the gradient is asked for.
          const rows = gradientsOf(t, await read(device, params));
          tensors.forEach(({ grad }, index) => {
            device.queue.writeBuffer(grad.buffer, 0, Float32Array.from(rows[index]!));
          });
          optimizer.step();
          rates.push(optimizer.groups[0]!.rate);
          after.push(await read(device, watch));
        }
      else {
        const recorded = await record(device, optimizer, {
          steps,
          grads: tensors.map(({ grad }) => grad),
          gradients: (t) => gradientsOf(t, []),
          ...(outputs && { outputs: (t) => [names.map((name) => outputs[t - 1]![name]!)] }),
          watch,
          before: setRate,
        });
        rates.push(...recorded.rates);
        after.push(...recorded.after);
      }
      let first = 0;
      return names.map((name, index) => {
        const from = first;
        first += 1 + kindsOf(name).length;
        const end = first;
        const run: Run = {
          rule,
          shape: shapes[name],
          outputs: outputs?.map((step) => [Float32Array.from(step[name]!)]),
          initial: Float32Array.from(initial[name]!),
          gradients: gradients.map((rows) => rows[index]!),
          rates,
          after: after.map((values) => values.slice(from, end)),
        };
        return { name, stepwise: true, free: false, run };
      });
    } finally {
      optimizer.destroy();
    }
  } finally {
    for (const { param, grad } of tensors) {
      param.buffer.destroy();
      grad.buffer.destroy();
    }
  }
}

/** Copies ranges back, in one submit. */
async function read(device: GPUDevice, ranges: readonly BufferRange[]): Promise<Float32Array[]> {
  const staging = device.createBuffer({
    label: "conformance read back",
    size: ranges.reduce((total, { size }) => total + size, 0),
    usage: USAGE.MAP_READ | USAGE.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder();
    let at = 0;
    for (const { buffer, offset, size } of ranges) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, size);
      at += size;
    }
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(READ);
    const all = new Float32Array(staging.getMappedRange().slice(0));
    let start = 0;
    return ranges.map(({ size }) => {
      start += size / 4;
      return all.slice(start - size / 4, start);
    });
  } finally {
    staging.destroy();
  }
}
