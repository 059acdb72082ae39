import type { Array as DeviceArray } from "@jax-js/jax";

/** Losses that may wait on the GPU: reading each step's at once would cost a third of the speed. */
const MOST_LOSSES = 50;
/** Examples whose losses may wait: until a loss is read, the examples' upload (3 kB each) may still be held. */
const MOST_EXAMPLES = 10_000;

/** The mean loss over some examples. */
export interface Loss {
  readonly value: number;
  readonly count: number;
}

/** Losses on the GPU that are read back late, many at a time. */
export class WaitingLosses {
  #waiting: { readonly loss: DeviceArray; readonly count: number }[] = [];
  #examples = 0;

  /** Adds the mean loss over `count` examples; the array is consumed. */
  push(loss: DeviceArray, count: number): void {
    this.#waiting.push({ loss, count });
    this.#examples += count;
  }

  /** Whether it is time to read. */
  get full(): boolean {
    return this.#waiting.length >= MOST_LOSSES || this.#examples >= MOST_EXAMPLES;
  }

  /**
   * Reads all, in the order of their coming.
   * @throws Error when one is not finite.
   */
  async read(): Promise<Loss[]> {
    const losses = await this.readAny();
    const wrong = losses.find(({ value }) => !Number.isFinite(value));
    if (wrong) throw new Error(`The loss is ${wrong.value}: the training diverged. Try a lower --lr.`);
    return losses;
  }

  /** Reads all, in the order of their coming, finite or not. */
  async readAny(): Promise<Loss[]> {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#examples = 0;
    const values = await Promise.all(waiting.map(({ loss }) => loss.data()));
    return waiting.map(({ count }, index) => ({ value: Number(values[index]?.[0]), count }));
  }
}

/** Mean over all examples. */
export function meanLoss(losses: readonly Loss[]): number {
  let sum = 0;
  let total = 0;
  for (const { value, count } of losses) {
    sum += value * count;
    total += count;
  }
  return sum / total;
}
