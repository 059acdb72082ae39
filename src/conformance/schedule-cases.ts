import { adam, type BufferRange, createOptimizer, isBuiltinSchedule, type Rule, sgd } from "../index.js";
import type { Job, Place } from "./job.js";
import { finite } from "./judge.js";
import { ulp } from "./numbers.js";
import { noOutcome, type Outcome } from "./outcome.js";
import { record } from "./record.js";
import { storage } from "./run-rule.js";
import { type NamedSchedule, reportPlateau } from "./schedule-examples.js";

const STEPS = 40;
const RATE = 0.1;
const BYTES = 16;
const EPS = 1e-8;

/** Rules whose update under the constant gradient 1, from a parameter of 0, is the rate itself. */
const probes = (): { rule: Rule; update: (rate: number) => number; bound: number; reason: string }[] => [
  { rule: sgd({ lr: RATE }), update: (rate) => rate, bound: 1, reason: "rounded once" },
  {
    rule: adam({ lr: RATE, eps: EPS }),
    update: (rate) => rate / (1 + EPS),
    // Both moments gather a rounding a step: 2e-6 in proportion, as along a run.
    bound: 32,
    reason: "rounded in each of the moments' steps",
  },
];

/** Reads the rates off that reach the parameters: a group for each schedule, all in one optimizer and one submit. */
async function readRates(device: GPUDevice, rule: Rule, schedules: readonly NamedSchedule[]) {
  const buffer = (label: string) => storage(device, `conformance ${label}`, schedules.length * BYTES);
  const params = buffer("parameters");
  const grads = buffer("gradients");
  const ranges = (of: GPUBuffer): BufferRange[] =>
    schedules.map((_, index) => ({ buffer: of, offset: index * BYTES, size: BYTES }));
  const driven = schedules.map(({ make }) => make());
  try {
    const optimizer = await createOptimizer(device, {
      rule,
      groups: schedules.map(({ name }, index) => ({
        schedule: driven[index]!,
        parameters: [
          { name: `${index} ${name}`, param: ranges(params)[index]!, grad: ranges(grads)[index]! },
        ],
      })),
      stepsInFlight: STEPS,
    });
    try {
      const ones = schedules.map(() => new Float32Array(BYTES / 4).fill(1));
      const { after } = await record(device, optimizer, {
        steps: STEPS,
        grads: ranges(grads),
        gradients: () => ones,
        watch: ranges(params),
        before: (t, encoder) => {
          if (t > 1) driven.forEach(reportPlateau);
          encoder.clearBuffer(params);
        },
      });
      return after;
    } finally {
      optimizer.destroy();
    }
  } finally {
    params.destroy();
    grads.destroy();
  }
}

/** Every schedule driving SGD and Adam through the uniform, against its own value on the host. */
export function scheduleJobs(
  schedules: readonly NamedSchedule[],
  isWanted: (rule: string) => boolean,
): Job[] {
  return probes()
    .filter(({ rule }) => isWanted(rule.row.name))
    .map(({ rule, update, bound, reason }) => ({
      cases: schedules.map(({ name }) => ({
        id: `schedule/${name}/${rule.row.name}`,
        kind: "schedule",
        rule: rule.row.name,
        schedule: name,
      })),
      run: async ({ device }: Place) => {
        const after = await readRates(device, rule, schedules);
        return schedules.map(({ make }, index): Outcome => {
          const schedule = make();
          const factor = isBuiltinSchedule(schedule) ? schedule.held(0) : schedule;
          let outcome = noOutcome;
          after.forEach((values, step) => {
            if (step > 0) reportPlateau(schedule);
            const expected = update(RATE * factor(step));
            for (const value of values[index]!) {
              // The parameter begins at 0 and loses the update.
              const difference = finite(Math.abs(-value - expected));
              const worstUlp = finite(difference / ulp(expected));
              const at = `step ${step + 1}: rate ${-value}, expected ${expected}, off by ${worstUlp.toPrecision(3)} ULP`;
              if (worstUlp > outcome.worstUlp)
                outcome = {
                  ...outcome,
                  worstUlp,
                  worstError: Math.max(outcome.worstError, difference / (1 + expected)),
                  worstUpdateError: Math.max(
                    outcome.worstUpdateError,
                    expected > 0 ? finite(difference / expected) : 0,
                  ),
                  at,
                };
              if (!(worstUlp <= bound))
                outcome = {
                  ...outcome,
                  errors: [...outcome.errors, `${at}, more than ${bound} (${reason})`],
                };
            }
          });
          return outcome;
        });
      },
    }));
}
