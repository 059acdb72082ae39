// Harm at every place of a checkpoint: refused by a typed error, or a checkpoint still. Nothing else may happen.
import { describe, expect, test } from "vitest";
import { OptimError } from "../../src/index.js";
import { check, sample, write } from "../support/checkpoints.js";

/** What became of a harmed file: refused, or taken. */
function outcome(file: Uint8Array, groups: ReturnType<typeof sample>["groups"]): "refused" | "taken" {
  try {
    const { groups: states } = check(file, groups);
    for (const { steps, cohorts, options } of states) {
      const memory = cohorts.flatMap(({ memory }) => memory);
      if (!Number.isSafeInteger(steps) || steps < 0) throw new Error(`Steps ${steps} were taken.`);
      if (!memory.every(Number.isFinite)) throw new Error(`Memory ${memory} was taken.`);
      if (!(options.lr >= 0)) throw new Error(`A rate of ${options.lr} was taken.`);
    }
    return "taken";
  } catch (error) {
    if (error instanceof OptimError && error.code === "invalid-checkpoint") return "refused";
    throw error;
  }
}

describe.each(["webgpu-optim", "pytorch"] as const)("%s", (format) => {
  const { groups, tensors, metadata } = sample(format);
  const whole = write(tensors, metadata);

  test("each bit flipped", { timeout: 60_000 }, () => {
    const counts = { refused: 0, taken: 0 };
    const file = whole.slice();
    for (let at = 0; at < file.length; at += 1)
      for (let bit = 0; bit < 8; bit += 1) {
        file[at]! ^= 1 << bit;
        counts[outcome(file, groups)] += 1;
        file[at]! ^= 1 << bit;
      }
    expect(counts.refused + counts.taken).toBe(8 * whole.length);
    // Digits of numbers and all the data may change; names, structure and offsets may not.
    expect(counts.refused).toBeGreaterThan(0.5 * 8 * whole.length);
    expect(counts.taken).toBeGreaterThan(8 * tensors.reduce((size, { data }) => size + data.length, 0));
  });

  test("cut at each length, and longer", () => {
    for (let length = 0; length < whole.length; length += 1)
      expect(outcome(whole.subarray(0, length), groups), `${length} bytes`).toBe("refused");
    expect(outcome(whole, groups)).toBe("taken");
    const longer = new Uint8Array(whole.length + 1);
    longer.set(whole);
    expect(outcome(longer, groups)).toBe("refused");
  });

  test("each member of the metadata by another value", () => {
    const others = [null, true, -1, 1e308, 2 ** 53, "", "user", [], {}, [[[]]], { kind: "warmup" }];
    const at = (value: unknown, replacement: unknown): unknown[] => {
      const variants: unknown[] = [replacement];
      if (typeof value === "object" && value !== null)
        for (const [key, inner] of Object.entries(value))
          for (const variant of at(inner, replacement)) {
            const copy = structuredClone(value) as Record<string, unknown>;
            copy[key] = variant;
            variants.push(copy);
          }
      return variants;
    };
    for (const key of ["groups", "schedules", "guards"])
      for (const other of others)
        for (const variant of at(JSON.parse(metadata.get(key)!), other)) {
          const changed = new Map(metadata).set(key, JSON.stringify(variant));
          outcome(write(tensors, changed), groups);
        }
  });
});
