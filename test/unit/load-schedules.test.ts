// Whose schedule goes on after load(): every kind in the file, every kind in the optimizer, every decision.
import { describe, expect, test } from "vitest";
import { momentum } from "../../src/index.js";
import { cosine, onPlateau, type PlateauSchedule, type Schedule } from "../../src/schedules/index.js";
import { constantRate } from "../../src/schedules/schedule.js";
import { check, groupOf, sample, write } from "../support/checkpoints.js";
import { expectError } from "../support/errors.js";

type Kind = "none" | "built-in" | "function" | "plateau" | "of an option";
type Decision = "keep" | "file" | undefined;
/** What goes on: the file's, the optimizer's own, or an error. */
type Outcome = "file" | "own" | "error";

const kinds: readonly Kind[] = ["none", "built-in", "function", "plateau", "of an option"];
const decisions: readonly Decision[] = ["keep", "file", undefined];

/** By the file's kind, then the optimizer's; for keep, file, and nothing said. "own" of what is alike means both. */
const table: Readonly<Record<Kind, Readonly<Record<Kind, readonly [Outcome, Outcome, Outcome]>>>> = {
  none: {
    none: ["own", "own", "own"],
    "built-in": ["own", "file", "error"],
    function: ["own", "file", "error"],
    plateau: ["own", "file", "error"],
    "of an option": ["own", "file", "error"],
  },
  "built-in": {
    none: ["own", "file", "file"],
    "built-in": ["own", "own", "own"],
    function: ["own", "file", "error"],
    plateau: ["own", "file", "error"],
    "of an option": ["own", "file", "error"],
  },
  // No file holds a function: it must be there, or be given up.
  function: {
    none: ["own", "error", "error"],
    "built-in": ["own", "error", "error"],
    function: ["own", "own", "own"],
    plateau: ["own", "error", "error"],
    "of an option": ["own", "error", "error"],
  },
  plateau: {
    none: ["own", "file", "file"],
    "built-in": ["own", "file", "error"],
    function: ["own", "file", "error"],
    plateau: ["own", "own", "own"],
    "of an option": ["own", "file", "error"],
  },
  "of an option": {
    none: ["own", "file", "file"],
    "built-in": ["own", "file", "error"],
    function: ["own", "file", "error"],
    plateau: ["own", "file", "error"],
    "of an option": ["own", "own", "own"],
  },
};

const user: Schedule = (step) => 1 / (1 + step);

function make(kind: Kind) {
  const schedules: Readonly<Record<Kind, () => Schedule>> = {
    none: () => constantRate,
    "built-in": () => cosine({ steps: 9 }),
    function: () => user,
    plateau: () => onPlateau({ factor: 0.5, patience: 0 }),
    "of an option": () => constantRate,
  };
  const schedule = schedules[kind]();
  const optionSchedules = kind === "of an option" ? { momentum: cosine({ steps: 5, alpha: 0.5 }) } : {};
  return { ...groupOf(momentum(), { w: [2] }, schedule), optionSchedules };
}

/** A schedule as it is, and what its plateau has learnt. */
const form = ({ schedule, optionSchedules }: Pick<ReturnType<typeof make>, "schedule" | "optionSchedules">) =>
  JSON.stringify([
    schedule === constantRate ? "none" : schedule === user ? "user" : schedule,
    optionSchedules,
  ]);

describe.each(kinds)("a file with schedule: %s", (there) => {
  describe.each(kinds)("an optimizer with schedule: %s", (here) => {
    test.each(decisions)("decided: %s", async (schedules) => {
      const saved = make(there);
      if (there === "plateau")
        for (const metric of [1, 2]) (saved.schedule as PlateauSchedule).report(metric);
      const { tensors, metadata } = sample("webgpu-optim", [saved]);
      const own = make(here);
      const before = form(own);
      const load = () => check(write(tensors, metadata), [own], schedules ? { schedules } : {});
      const outcome = table[there][here][decisions.indexOf(schedules)]!;
      if (outcome === "error") {
        const error = await expectError(load, "invalid-checkpoint", "schedule of");
        // Both sides are named, and a way out.
        expect(error.message).toMatch(/as here.* in the file/);
        expect(error.message).toMatch(/keep/);
        expect(form(own)).toBe(before);
        return;
      }
      const checked = load();
      const [state] = checked.groups;
      state!.restoreSchedule();
      if (outcome === "own") {
        // The caller's objects.
        expect(state!.schedule).toBe(own.schedule);
        expect(state!.optionSchedules).toEqual(own.optionSchedules);
        expect(form(own)).toBe(there === "plateau" && here === "plateau" ? form(saved) : before);
      } else expect(form(state! as never)).toBe(form(saved));
      const [loaded] = checked.result.groups;
      const alike = there === here && !["none", "function"].includes(here);
      const rate = loaded!.schedule;
      const option = loaded!.optionSchedules.momentum;
      if (here === "of an option" || there === "of an option")
        expect(option).toBe(outcome === "file" || alike ? "file" : "optimizer");
      if (there !== "of an option" && here !== "of an option")
        expect(rate).toBe(outcome === "file" || alike ? "file" : "optimizer");
    });
  });
});

test("a file of old, which does not say whether it had a schedule, takes what is there", () => {
  const { tensors, metadata } = sample("webgpu-optim", [make("function")]);
  const old = new Map(metadata);
  old.set("groups", metadata.get("groups")!.replace(',"constant":false', ""));
  expect(old.get("groups")).not.toContain("constant");
  for (const kind of ["none", "built-in", "function", "plateau"] as const) {
    const own = make(kind);
    expect(check(write(tensors, old), [own]).groups[0]!.schedule).toBe(own.schedule);
  }
});

describe("hyperparameters that differ", () => {
  const saved = sample("webgpu-optim", [groupOf(momentum({ lr: 0.1 }), { w: [2] })]);
  const own = groupOf(momentum({ lr: 0.3 }), { w: [2] });
  const file = write(saved.tensors, saved.metadata);
  test("are an error that names both, until one is taken", async () => {
    await expectError(
      () => check(file, [own]),
      "invalid-checkpoint",
      /lr 0\.3, as here, got lr 0\.1 in the file/,
    );
    const kept = check(file, [own], { hyperparameters: "keep" });
    expect(kept.groups[0]!.options.lr).toBe(0.3);
    expect(kept.result.groups[0]!.hyperparameters).toBe("optimizer");
    const taken = check(file, [own], { hyperparameters: "file" });
    expect(taken.groups[0]!.options.lr).toBe(0.1);
    expect(taken.result.groups[0]!.hyperparameters).toBe("file");
  });
});

describe("a rate in a file of PyTorch's", () => {
  const schedule = cosine({ steps: 10 });
  /** The options after a load at step 5 of a file with these rates. */
  const loaded = (rates: object, own = schedule as Schedule) => {
    const group = groupOf(momentum({ lr: 0.1 }), { w: [2] }, own);
    const { tensors, metadata } = sample("pytorch", [group]);
    const [json] = JSON.parse(metadata.get("groups")!) as { config: object }[];
    const { lr: _, initial_lr: __, ...config } = json!.config as Record<string, unknown>;
    const changed = new Map(metadata);
    changed.set("groups", JSON.stringify([{ ...json, step: 5, config: { ...config, ...rates } }]));
    const checked = check(write(tensors, changed), [group], { hyperparameters: "file" });
    return checked.groups[0]!.options.lr;
  };
  test("is what the schedule makes of initial_lr", () => {
    expect(loaded({ lr: 0.05, initial_lr: 0.1 })).toBe(0.1);
  });
  test("is the next step's, where it was edited beside initial_lr, or no scheduler was there", () => {
    expect(loaded({ lr: 0.01, initial_lr: 0.1 }) * schedule(5)).toBeCloseTo(0.01, 15);
    expect(loaded({ lr: 0.2 }) * schedule(5)).toBeCloseTo(0.2, 15);
    expect(loaded({ lr: 0.01, initial_lr: 0.1 }, constantRate)).toBe(0.01);
  });
  test("is initial_lr where the schedule is at 0", () => {
    expect(loaded({ lr: 0, initial_lr: 0.1 }, cosine({ steps: 5 }))).toBe(0.1);
  });
});
