import { requestDevice } from "../src/index.js";
import { type Contestant, makeContest } from "./contestants.js";
import { countWork, type Work, type WorkCounter } from "./count.js";
import type { BenchProgress, BenchRequest, BenchRow } from "./events.js";
import { makeProducts } from "./product.js";
import type { Workload } from "./workloads.js";

/** A sample takes so long at least: the clock of a page is rounded to 0.1 ms. */
const SAMPLE_MS = 10;
const MOST_STEPS = 200;
/** The first compiles, the others find out how many steps make a sample. */
const WARM_UP = 3;
/** Rounds go on for about so long. */
const BUDGET_MS = 20_000;
const FEWEST_ROUNDS = 5;
const MOST_ROUNDS = 31;

/** One of those that take turns. */
interface Turn {
  readonly contestant: Contestant;
  readonly work: Work;
  readonly times: number[];
  /** Of a sample. */
  steps: number;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Measures all that steps a workload, in turns, on a device of its own. */
export async function measureWorkload(
  workload: Workload,
  { rounds, peers = false }: Pick<BenchRequest, "rounds" | "peers">,
  follow: (progress: BenchProgress) => Promise<void>,
): Promise<BenchRow[]> {
  const device = await requestDevice({ label: "bench" });
  const errors: string[] = [];
  device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
  try {
    await follow({ done: 0, text: "making" });
    const counter = countWork(device);
    const { product } = workload;
    const contest = await (product ? makeProducts(device, product) : makeContest(device, workload, peers));
    const turns: Turn[] = [];
    for (const contestant of contest.contestants)
      turns.push({ contestant, work: await countStep(counter, contestant), times: [], steps: 1 });
    counter.stop();
    await takeTurns(device, turns, rounds, follow);
    contest.destroy();
    if (errors.length > 0) throw new Error(`${workload.name}: ${errors[0]}`);
    return toRows(workload.name, contest, turns);
  } finally {
    device.destroy();
  }
}

/** What a step asks of the device once it has warmed up, its read-back included. */
async function countStep(counter: WorkCounter, { step, settled, device }: Contestant): Promise<Work> {
  const run = async () => {
    step();
    await settled();
  };
  await run();
  if (!device) return await counter.count(run);
  const other = countWork(device);
  const work = await other.count(run);
  other.stop();
  return work;
}

async function takeTurns(
  device: GPUDevice,
  turns: readonly Turn[],
  rounds: number | undefined,
  follow: (progress: BenchProgress) => Promise<void>,
): Promise<void> {
  let roundMs = 0;
  for (let round = 0; round < WARM_UP; round += 1) {
    await follow({ done: 0, text: "warming up" });
    const start = performance.now();
    for (const turn of turns) {
      const ms = await takeSample(device, turn);
      turn.steps = Math.min(Math.ceil(SAMPLE_MS / Math.max(ms, SAMPLE_MS / MOST_STEPS)), MOST_STEPS);
    }
    roundMs = performance.now() - start;
  }
  const fitting = Math.floor(BUDGET_MS / roundMs);
  const count = rounds ?? Math.min(Math.max(fitting, FEWEST_ROUNDS), MOST_ROUNDS);
  for (let round = 0; round < count; round += 1) {
    for (const turn of turns) turn.times.push(await takeSample(device, turn));
    await follow({ done: (round + 1) / count, text: `round ${round + 1} of ${count}` });
  }
}

/**
 * Milliseconds of a step, as the mean over a sample. A step that finds all of the engine's read-back buffers under way is
 * reported by a later read-back, as in any loop that does not wait.
 */
async function takeSample(device: GPUDevice, { contestant, steps }: Turn): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < steps; i += 1) contestant.step();
  await contestant.settled();
  await (contestant.device ?? device).queue.onSubmittedWorkDone();
  const ms = (performance.now() - start) / steps;
  if (contestant.rest) await new Promise((resolve) => setTimeout(resolve, contestant.rest));
  return ms;
}

function toRows(
  workload: string,
  { tensors, parameters }: { readonly tensors: number; readonly parameters: number },
  turns: readonly Turn[],
): BenchRow[] {
  const firstMs = median(turns[0]!.times);
  return turns.map(({ contestant: { engine, optimizer, bytesMoved: known }, work, times }) => {
    const medianMs = median(times);
    const bytesMoved = known ?? work.bytes;
    return {
      engine,
      optimizer,
      workload,
      tensors,
      parameters,
      medianMs,
      ratio: medianMs / firstMs,
      dispatches: work.dispatches,
      objectsMade: work.objects,
      bytesMoved,
      bytesPerSecond: (bytesMoved / medianMs) * 1000,
    };
  });
}
