import { describe, expect, test } from "vitest";
import { scheduleFromFramework, scheduleFromHuggingFace } from "../../src/frameworks/schedules/index.js";
import { isPlateauSchedule, type PlateauSchedule, scheduleFromJSON } from "../../src/schedules/index.js";
import { refused } from "../support/errors.js";

const LR = 0.3;

interface Given {
  readonly num_warmup_steps: number;
  readonly num_training_steps: number;
  readonly [name: string]: unknown;
}

const wave = (cycles: number, progress: number) => 0.5 * (1 + Math.cos(2 * Math.PI * cycles * progress));
const between = (least: number, factor: number) => least + factor * (1 - least);

/** After the warm-up: the factor `since` steps after its end, of `decay` steps. */
const after: Record<string, (since: number, decay: number, given: Given) => number> = {
  constant_with_warmup: () => 1,
  linear: (since, decay, given) =>
    Math.max(0, given.num_training_steps - given.num_warmup_steps - since) / decay,
  cosine: (since, decay, { num_cycles = 0.5 }) => wave(num_cycles as number, since / decay),
  cosine_with_restarts: (since, decay, { num_cycles = 1 }) =>
    since >= decay ? 0 : wave(0.5, ((since * (num_cycles as number)) % decay) / decay),
  polynomial: (since, decay, { num_training_steps, num_warmup_steps, ...given }) => {
    const { lr_end = 1e-7, power = 1 } = given as { lr_end?: number; power?: number };
    if (since + num_warmup_steps > num_training_steps) return lr_end / LR;
    return ((LR - lr_end) * (1 - since / decay) ** power + lr_end) / LR;
  },
  inverse_sqrt: (since, _decay, { num_warmup_steps, timescale }) => {
    const scale = (timescale as number | undefined) ?? (num_warmup_steps || 10_000);
    return 1 / Math.sqrt((since + scale) / scale);
  },
  cosine_with_min_lr: (since, decay, { num_cycles = 0.5, min_lr, min_lr_rate }) =>
    between(
      (min_lr_rate as number | undefined) ?? (min_lr as number) / LR,
      wave(num_cycles as number, since / decay),
    ),
};

const specific: Record<string, readonly object[]> = {
  constant_with_warmup: [{}],
  linear: [{}],
  cosine: [{}, { num_cycles: 0.25 }, { num_cycles: 1 }, { num_cycles: 2.75 }, { num_cycles: 0 }],
  cosine_with_restarts: [{}, { num_cycles: 2 }, { num_cycles: 7 }, { num_cycles: 60 }],
  polynomial: [{}, { power: 2 }, { power: 0.5, lr_end: 0.1 }, { lr_end: 0 }],
  inverse_sqrt: [{}, { timescale: 1 }, { timescale: 77 }, { timescale: null }],
  cosine_with_min_lr: [
    { min_lr: 0.03 },
    { min_lr_rate: 0.25, num_cycles: 1.5 },
    { min_lr: null, min_lr_rate: 0 },
  ],
};

function expectFactors(name: string, kwargs: Given, expected: (step: number) => number): void {
  const { lr, schedule } = scheduleFromHuggingFace(name, kwargs, LR);
  expect(lr).toBe(LR);
  const again = scheduleFromJSON(JSON.parse(JSON.stringify(schedule)));
  for (let s = 0; s < 140; s++) {
    const error = Math.abs(schedule(s) - expected(s));
    if (!(error < 1e-12))
      throw new Error(`${name} ${JSON.stringify(kwargs)}, step ${s}: ${schedule(s)} for ${expected(s)}`);
    expect(again(s)).toBe(schedule(s));
  }
}

const lengthsOf = (warm: number, all: number) => ({ num_warmup_steps: warm, num_training_steps: all });
const lengths = [
  [0, 100],
  [1, 60],
  [10, 100],
  [13, 90],
  [5, 6],
] as const;

describe("Hugging Face's formulas, at every step", () => {
  test.each(Object.keys(after))("%s", (name) => {
    for (const [warm, all] of lengths)
      for (const more of specific[name]!) {
        const given: Given = { ...lengthsOf(warm, all), ...more };
        const expected = (s: number) => (s < warm ? s / warm : after[name]!(s - warm, all - warm, given));
        expectFactors(name, given, expected);
        expectFactors(name, { ...lengthsOf(warm, all), scheduler_specific_kwargs: more } as Given, expected);
      }
  });

  test("a warm-up that takes all the steps, or more", () => {
    for (const all of [10, 7]) {
      const given = lengthsOf(10, all);
      const from = (factor: (since: number) => number) => (s: number) => (s < 10 ? s / 10 : factor(s - 10));
      expectFactors(
        "linear",
        given,
        from(() => 0),
      );
      expectFactors(
        "cosine",
        given,
        from((since) => (since % 2 === 0 ? 1 : 0)),
      );
      expectFactors(
        "cosine_with_restarts",
        { ...given, num_cycles: 3 },
        from((since) => (since === 0 ? 1 : 0)),
      );
    }
    expectFactors("polynomial", { ...lengthsOf(10, 7), lr_end: 0.03 }, (s) => (s < 10 ? s / 10 : 0.1));
    const nothing = refused("invalid-schedule", () =>
      scheduleFromHuggingFace("polynomial", lengthsOf(10, 10), LR),
    );
    expect(nothing).toContain("nothing to decay");
  });

  const shapes = {
    linear: [(p: number) => p, (p: number) => 1 - p],
    cosine: [(p: number) => 0.5 * (1 - Math.cos(Math.PI * p)), (p: number) => wave(0.5, p)],
    "1-sqrt": [(p: number) => 1 - Math.sqrt(1 - p), (p: number) => 1 - Math.sqrt(p)],
  } as const;
  const names = Object.keys(shapes) as (keyof typeof shapes)[];

  test.each(names.flatMap((rise) => names.map((fall) => [rise, fall] as const)))(
    "warmup_stable_decay, up by %s and down by %s",
    (warmup_type, decay_type) => {
      for (const [warm, stable, decay] of [
        [10, 30, 20],
        [0, 5, 40],
        [7, 0, 13],
        [1, 1, 1],
        [4, 9, 0],
        [0, 0, 0],
      ] as const)
        for (const least of [0, 0.15]) {
          const expected = (s: number) => {
            if (s < warm) return between(least, shapes[warmup_type][0](s / warm));
            if (s < warm + stable) return 1;
            if (s < warm + stable + decay)
              return between(least, shapes[decay_type][1]((s - warm - stable) / decay));
            return least;
          };
          const shape = {
            num_warmup_steps: warm,
            num_decay_steps: decay,
            warmup_type,
            decay_type,
            min_lr_ratio: least,
          };
          const all = warm + stable + decay;
          expectFactors(
            "get_wsd_schedule",
            { ...shape, num_stable_steps: stable } as unknown as Given,
            expected,
          );
          expectFactors("warmup_stable_decay", { ...shape, num_training_steps: all }, expected);
          // Of two lengths it takes the stable one.
          expectFactors(
            "get_wsd_schedule",
            { ...shape, num_training_steps: 3, num_stable_steps: stable },
            expected,
          );
        }
    },
  );

  test("cosine_warmup_with_min_lr", () => {
    for (const [warm, all] of [...lengths, [2, 60] as const, [10, 7] as const])
      for (const more of [
        { min_lr_rate: 0.1 },
        { min_lr: 0.06, warmup_lr_rate: 0.3 },
        { min_lr_rate: 0, num_cycles: 1.25, warmup_lr_rate: null },
      ]) {
        const given = { ...lengthsOf(warm, all), ...more };
        const { min_lr, min_lr_rate, warmup_lr_rate, num_cycles = 0.5 } = given as Record<string, number>;
        const least = min_lr_rate ?? min_lr! / LR;
        const expected = (s: number) => {
          if (s < warm && (warmup_lr_rate ?? null) === null) return (s + 1) / warm;
          if (s < warm) return warmup_lr_rate! + ((1 - warmup_lr_rate!) * s) / Math.max(1, warm - 1);
          return between(least, wave(num_cycles, (s - warm + 1) / Math.max(1, all - warm)));
        };
        expectFactors("cosine_warmup_with_min_lr", given, expected);
        expectFactors("get_cosine_with_min_lr_schedule_with_warmup_lr_rate", given, expected);
      }
  });

  test("reduce_lr_on_plateau is PyTorch's, in its own names", () => {
    const params = { mode: "max", factor: 0.5, patience: 1, min_lr: 0.03 };
    for (const { schedule, lr } of [
      scheduleFromHuggingFace("get_reduce_on_plateau_schedule", params, LR),
      scheduleFromHuggingFace(
        "reduce_lr_on_plateau",
        { ...lengthsOf(5, 50), scheduler_specific_kwargs: params },
        LR,
      ),
    ]) {
      expect(isPlateauSchedule(schedule)).toBe(true);
      expect(schedule.spec).toMatchObject({ margin: "signed", minimum: 0.1, patience: 1, mode: "max" });
      for (const metric of [3, 3, 3]) (schedule as PlateauSchedule).report(metric);
      expect(lr * schedule(0)).toBe(0.15);
    }
  });
});

describe("Hugging Face's names", () => {
  const pairs = {
    constant: "get_constant_schedule",
    constant_with_warmup: "get_constant_schedule_with_warmup",
    linear: "get_linear_schedule_with_warmup",
    cosine: "get_cosine_schedule_with_warmup",
    cosine_with_restarts: "get_cosine_with_hard_restarts_schedule_with_warmup",
    polynomial: "get_polynomial_decay_schedule_with_warmup",
    inverse_sqrt: "get_inverse_sqrt_schedule",
    warmup_stable_decay: "get_wsd_schedule",
    cosine_with_min_lr: "get_cosine_with_min_lr_schedule_with_warmup",
    cosine_warmup_with_min_lr: "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    reduce_lr_on_plateau: "get_reduce_on_plateau_schedule",
  };
  const extra: Record<string, object> = {
    warmup_stable_decay: { num_decay_steps: 10 },
    cosine_with_min_lr: { min_lr: 0.01 },
    cosine_warmup_with_min_lr: { min_lr: 0.01 },
  };
  const taken: Record<string, object> = {
    constant: {},
    constant_with_warmup: { num_warmup_steps: 5 },
    inverse_sqrt: { num_warmup_steps: 5 },
    reduce_lr_on_plateau: {},
  };

  test.each(Object.entries(pairs))("%s is %s, and takes what get_scheduler takes", (type, name) => {
    const kwargs = { ...lengthsOf(5, 50), scheduler_specific_kwargs: extra[type] ?? null };
    const ofType = scheduleFromFramework("huggingface", type, kwargs, LR);
    const ofName = scheduleFromHuggingFace(
      name,
      { ...(taken[type] ?? lengthsOf(5, 50)), ...extra[type], last_epoch: -1 },
      LR,
    );
    expect(ofType.schedule.spec).toMatchObject({ kind: ofName.schedule.spec.kind });
    for (let s = 0; s < 80; s++) expect(ofType.schedule(s)).toBe(ofName.schedule(s));
    refused("invalid-schedule", () => scheduleFromHuggingFace(name, { ...kwargs, last_epoch: 3 }, LR));
    refused("invalid-schedule", () => scheduleFromHuggingFace(type, { ...kwargs, num_decay: 3 }, LR));
    for (const lr of [undefined, 0, -1, Number.NaN])
      expect(refused("invalid-schedule", () => scheduleFromHuggingFace(type, kwargs, lr))).toContain(
        "base rate",
      );
    for (const wrong of [null, [], 3, "x"])
      refused("invalid-schedule", () => scheduleFromHuggingFace(type, wrong as never, LR));
  });

  test("what get_scheduler has no use for may be None, and is no text", () => {
    const none = { num_warmup_steps: null, num_training_steps: null };
    expect(scheduleFromHuggingFace("constant", none, LR).schedule(9)).toBe(1);
    expect(refused("invalid-schedule", () => scheduleFromHuggingFace("linear", none, LR))).toContain(
      "num_warmup_steps",
    );
    for (const wrong of ["5", -1, 0.5])
      expect(
        refused("invalid-schedule", () =>
          scheduleFromHuggingFace("constant", { num_training_steps: wrong }, LR),
        ),
      ).toContain("num_training_steps");
    // The functions themselves have no such argument.
    refused("invalid-schedule", () =>
      scheduleFromHuggingFace("get_constant_schedule", { num_training_steps: 3 }, LR),
    );
    refused("invalid-schedule", () =>
      scheduleFromHuggingFace("get_constant_schedule", { scheduler_specific_kwargs: {} }, LR),
    );
  });

  test("what is wrong is refused", () => {
    const make = (name: string, more: object) => () =>
      scheduleFromHuggingFace(name, { ...lengthsOf(5, 50), ...more }, LR);
    for (const name of ["cosine_with_min_lr", "cosine_warmup_with_min_lr"]) {
      expect(refused("invalid-schedule", make(name, {}))).toContain("neither");
      expect(refused("invalid-schedule", make(name, { min_lr: 0.1, min_lr_rate: 0.1 }))).toContain("both");
    }
    for (const more of [{ min_lr: -1 }, { min_lr: "0.1" }, { min_lr_rate: Number.NaN }])
      refused("invalid-schedule", make("cosine_with_min_lr", more));
    for (const num_cycles of [1.5, 0, -1, "2"])
      refused("invalid-schedule", make("cosine_with_restarts", { num_cycles }));
    for (const more of [{ num_cycles: -1 }, { num_cycles: null }, { num_warmup_steps: 2.5 }])
      refused("invalid-schedule", make("cosine", more));
    for (const more of [{ lr_end: 0.3 }, { lr_end: -1 }, { power: 0 }])
      refused("invalid-schedule", make("polynomial", more));
    for (const timescale of [0, 1.5, "9"]) refused("invalid-schedule", make("inverse_sqrt", { timescale }));
    for (const more of [
      {},
      { num_decay_steps: 46 },
      { num_decay_steps: 10, warmup_type: "sqrt" },
      { num_decay_steps: 10, decay_type: "exponential" },
      { num_decay_steps: 10, min_lr_ratio: -0.1 },
    ])
      refused("invalid-schedule", make("warmup_stable_decay", more));
    const wsd = { num_warmup_steps: 5, num_decay_steps: 5 };
    expect(refused("invalid-schedule", () => scheduleFromHuggingFace("get_wsd_schedule", wsd, LR))).toContain(
      "no stable phase",
    );
    expect(refused("invalid-schedule", make("cosine", { scheduler_specific_kwargs: 3 }))).toContain(
      "scheduler_specific_kwargs",
    );
    const twice = { num_cycles: 1, scheduler_specific_kwargs: { num_cycles: 2 } };
    expect(refused("invalid-schedule", make("cosine", twice))).toContain("num_cycles");
    for (const name of ["greedy", "cosin", "toString", "__proto__", "get_scheduler"])
      expect(refused("unknown-name", make(name, {}))).toContain("warmup_stable_decay");
  });
});
