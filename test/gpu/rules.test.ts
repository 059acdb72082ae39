// The shared tests of every rule, driven by the table.
import { describe, expect, test } from "vitest";
import {
  CHANGES,
  composeGuardedStep,
  composeMeasure,
  composeSummedStep,
  GRADIENTS,
  overStrips,
  sumsOf,
} from "../../src/engine/guards/compose-sums.js";
import { composeSettle } from "../../src/engine/guards/rule-sums.js";
import { composeStep, overLanes, STAGE_STRUCT } from "../../src/engine/kernels/compose.js";
import * as caution from "../../src/engine/passes/caution.js";
import * as compensation from "../../src/engine/passes/compensation.js";
import { composeBlend } from "../../src/engine/passes/copies.js";
import { composeCurvature } from "../../src/engine/passes/curvature.js";
import { composeLookahead } from "../../src/engine/passes/lookahead.js";
import { composePass } from "../../src/engine/whole/compose.js";
import { createArena, createOptimizer, type Rule, rules } from "../../src/index.js";
import { referenceCurvature, referenceStep } from "../../src/reference/step.js";
import { isCautious } from "../../src/rule.js";
import accumulate from "../../src/shaders/engine/accumulate.wgsl?raw";
import ascent from "../../src/shaders/engine/ascent.wgsl?raw";
import clip from "../../src/shaders/engine/clip.wgsl?raw";
import control from "../../src/shaders/engine/control.wgsl?raw";
import copy from "../../src/shaders/engine/copy.wgsl?raw";
import decide from "../../src/shaders/engine/decide.wgsl?raw";
import measure from "../../src/shaders/engine/measure.wgsl?raw";
import recordShader from "../../src/shaders/engine/record.wgsl?raw";
import sum from "../../src/shaders/engine/sum.wgsl?raw";
import tensorSums from "../../src/shaders/engine/tensors.wgsl?raw";
import { read, upload, whole, write } from "../support/buffers.js";
import { descend } from "../support/descend.js";
import { useDevice, type Watched } from "../support/device.js";
import { bits, statesOf, stepBound, stepErrors, trajectoryErrors } from "../support/judge.js";
import { long } from "../support/long.js";
import { gradients, normals, ulp } from "../support/numbers.js";
import { record } from "../support/record.js";
import { byGradients, shapeless } from "../support/shapeless.js";
import { gradientOf, initialOf, type TestTensor, train } from "../support/train.js";
import { variants } from "../support/variants.js";

/** The bound of the vectors: f32 rounding of a dozen or two steps. */
const TOLERANCE = 2e-6;

/** Every rule through both of its kernels: without the stages around it, and with decay and a turned sign. */
const forms = shapeless.flatMap((factory) =>
  [{}, { weightDecay: 0.05, maximize: true }].map((options) => ({
    name: `${factory.row.name} ${JSON.stringify(options)}`,
    rule: factory(options),
  })),
);

/** What a rule does to whole tensors in a step. */
const passesOf = ({ row, options }: Rule) => row.whole?.passes(options) ?? [];

/** Rates fit for a quadratic with curvatures up to 10, where 0.02 is not. */
const RATES: Readonly<Record<string, number>> = {
  sgd: 0.05,
  momentum: 0.01,
  nesterov: 0.01,
  "nesterov-lookahead": 0.01,
  adagrad: 0.5,
  ftrl: 0.5,
  "rmsprop-momentum": 0.002,
  "rmsprop-centered-momentum": 0.002,
  "rmsprop-nesterov": 0.002,
  adadelta: 1,
  lars: 2,
  sm3: 0.5,
  adafactor: 0.3,
  "adafactor-momentum": 0.3,
  "noisy-sgd": 0.05,
};

/** Options that let a rule settle within 2 000 steps. */
const SETTLES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  // Its slow average has a half-life of 7 000 steps.
  ademamix: { beta3: 0.99 },
};

/** Options under which a rule has no decay of its own. */
const WITHOUT_DECAY: Readonly<Record<string, Readonly<Record<string, number>>>> = { asgd: { lambd: 0 } };

/** Rules whose parameters a zero rate does not keep, with the reason; they are held to the reference instead. */
const MOVES_AT_ZERO_RATE: Readonly<Record<string, string>> = {
  rprop: "the rate is the first step size only, and step sizes have a lower bound",
};

/** A rate that changes in mid-run. */
const schedule = (step: number) => (step < 6 ? 1 : 0.25);

/** One in so many of what tells little that other tests do not; `test --long` takes all. */
const some = <T>(list: readonly T[], one: number): T[] =>
  list.filter((_, index) => long || index % one === 0);

/** Values that differ by more than the tolerance. */
const far = (values: Float32Array, expected: Float32Array) =>
  [...values].filter((value, i) => !(Math.abs(value - expected[i]!) <= TOLERANCE * (1 + Math.abs(value))));

/** A tensor in buffers of its own. */
function loose(device: GPUDevice, name: string, length: number, offsets: readonly [number, number] = [0, 0]) {
  const zeros = new Float32Array(length);
  const [param, grad] = offsets.map((offset) => upload(device, zeros, { offset, label: name }));
  return { name, param: param!, grad: grad! } satisfies TestTensor;
}
const destroy = (tensors: readonly TestTensor[]) => {
  for (const { param, grad } of tensors) for (const { buffer } of [param, grad]) buffer.destroy();
};

describe("on a device as it is", () => {
  const watched = useDevice();

  // Those that look at whole tensors are held to the reference by the conformance run, over shapes.
  const elementwise = variants.filter(({ factory }) => !factory.row.whole && byGradients.includes(factory));
  // Rules at their defaults, and some of their variants; the conformance run has them all.
  const judged = new Set([
    ...elementwise.filter(({ name }) => name.endsWith(" {}")),
    ...some(elementwise, 4),
  ]);
  describe.each([...judged])("$name", ({ factory, options }) => {
    const rule = factory(options);
    const states = statesOf(rule);

    /** Runs one tensor and keeps everything after each step. */
    async function run(initial: Float32Array, rows: readonly Float32Array[], ruleOfRun = rule) {
      const { device } = watched();
      const tensor = loose(device, "x", initial.length);
      write(device, tensor.param, initial);
      const optimizer = await createOptimizer(device, {
        rule: ruleOfRun,
        schedule,
        parameters: [tensor],
        stepsInFlight: 2 * rows.length,
      });
      const recorded = await record(device, optimizer, {
        steps: rows.length,
        grads: [tensor.grad],
        gradients: (t) => [rows[t - 1]!],
        watch: [tensor.param, ...states.map((state) => optimizer.state("x", state))],
      });
      optimizer.destroy();
      destroy([tensor]);
      const rates = rows.map((_, step) => ruleOfRun.options.lr * schedule(step));
      expect(recorded.rates).toEqual(rates);
      return { rule: ruleOfRun, initial, gradients: rows, rates, after: recorded.after };
    }
    const rows = (steps: number, row: (t: number) => Float32Array) =>
      Array.from({ length: steps }, (_, index) => row(index + 1));

    test("follows the float64 reference, free-running and from equal state", async () => {
      const length = 61;
      const result = await run(
        normals(1, length),
        rows(12, (t) => gradients(2, t, length)),
      );
      expect(trajectoryErrors(result, TOLERANCE).slice(0, 5)).toEqual([]);
      expect(stepErrors(result, stepBound(watched().software)).slice(0, 5)).toEqual([]);
    });

    test("stays finite under gradients from 1e-30 to 1e30, and right up to 1e18", async () => {
      const pools = [
        [0, 1e-30, -1e-30],
        [0, 1e-30, -1e-30, 1e18, -1e18],
        [0, 1e18, -1e18],
        [0, 1e-30, -1e-30, 1e18, -1e18, 1e30, -1e30],
      ];
      const length = 64;
      const pick = (t: number, most: number) =>
        Float32Array.from({ length }, (_, i) => {
          const pool = pools[Math.min(i % 4, most)]!;
          return pool[(i + t * (1 + (i % 3)) + (t >> 2)) % pool.length]!;
        });
      const result = await run(
        normals(3, length),
        rows(20, (t) => pick(t, 3)),
      );
      const infinite = result.after.flatMap((kept, index) =>
        kept.flatMap((values, k) =>
          values.every(Number.isFinite) ? [] : [`${["θ", ...states][k]} after step ${index + 1}`],
        ),
      );
      expect(infinite).toEqual([]);
      // g² is a normal f32 from about 1.1e-19 to 1.8e19. Above, squares stop at their bound, which the reference does
      // not have: the last pool is out. Below, g² is zero, which only a rule without ε can tell from 1e-60.
      const withoutEps = rule.row.name === "rmsprop-nesterov";
      const judged = (i: number) => (withoutEps ? i % 4 === 2 : i % 4 !== 3);
      // What is summed over a tensor takes all elements in, so that these rules are judged without the last pool, and
      // where elements decide that have no update in f32 alone, not at all.
      const cautious = isCautious(rule.options);
      if (cautious && withoutEps) return;
      const within =
        rule.row.shader.sums.length === 0 && !cautious
          ? result
          : await run(
              normals(3, length),
              rows(20, (t) => pick(t, 2)),
            );
      expect(stepErrors(within, stepBound(watched().software), judged).slice(0, 5)).toEqual([]);
      if (withoutEps && rule.options.weightDecay === 0)
        for (let i = 0; i < length; i += 4) expect(result.after.at(-1)![0]![i]).toBe(result.initial[i]);
    });

    test("follows the reference under gradients that never change", async () => {
      // By then an average with the decay rate 0.6 is its limit: of centered rules, the variance is rounding alone.
      const result = await run(
        normals(9, 32),
        rows(40, () => normals(10, 32)),
      );
      expect(stepErrors(result, stepBound(watched().software)).slice(0, 5)).toEqual([]);
    });

    test("a zero rate leaves the parameters bit-equal", async () => {
      const still = factory({ ...options, lr: 0 });
      const result = await run(
        normals(4, 13),
        rows(5, (t) => gradients(5, t, 13)),
        still,
      );
      const end = result.after.at(-1)![0]!;
      if (Object.hasOwn(MOVES_AT_ZERO_RATE, rule.row.name))
        expect(stepErrors(result, stepBound(watched().software)).slice(0, 5)).toEqual([]);
      // Decay that is independent of the rate goes on.
      else if (still.options.decay === "independent")
        expect(end[0]).toBeCloseTo(result.initial[0]! * (1 - still.options.weightDecay) ** 5, 6);
      else expect(bits(end)).toEqual(bits(result.initial));
    });

    test("zero gradients without decay leave the parameters bit-equal", async () => {
      const result = await run(
        normals(6, 13),
        rows(5, () => new Float32Array(13)),
        factory({ ...options, weightDecay: 0, ...WITHOUT_DECAY[rule.row.name] }),
      );
      // An average of gradients that begins above zero moves the parameters by itself; l1, l2 and l2Shrinkage shrink
      // them, and Fromage does; Keras's Ftrl forgets where they began.
      const begun = ["initialExpAvg", "l1", "l2", "l2Shrinkage"].some((name) => Object.hasOwn(options, name));
      if (begun || options.form === "keras" || rule.row.name === "fromage")
        expect(stepErrors(result, stepBound(watched().software)).slice(0, 5)).toEqual([]);
      else expect(bits(result.after.at(-1)![0]!)).toEqual(bits(result.initial));
    });
  });

  describe.each(forms)("$name", ({ rule }) => {
    test("gives the same bits twice, in an arena and in loose buffers", async () => {
      const { device, software } = watched();
      const shapes = { a: [7, 9], b: [64], c: [1], d: [130] };
      const arena = createArena(device, [shapes]);
      const tensors = Object.entries(shapes).map(([name, shape]) => ({
        ...loose(
          device,
          name,
          shape.reduce((product, extent) => product * extent),
        ),
        shape,
      }));
      const first = await train(watched(), rule, arena.groups[0]!);
      const second = await train(watched(), rule, arena.groups[0]!);
      const apart = await train(watched(), rule, tensors);
      const { lookahead, sums } = rule.row.shader;
      // With sums: of the gradients and of what the rule measures, a measure, a level of sums and what is made of them;
      // two levels more where all tensors have one sum.
      const own = lookahead ? 2 : sums.length === 0 ? 1 : rule.row.scope === "all" ? 12 : 9;
      // Passes over whole tensors stand between the gradients' way in and the step.
      const passes = own + (rule.row.whole ? 1 + passesOf(rule).length : 0);
      expect(first.dispatches).toBe(passes);
      // Each state that begins as the parameter takes one dispatch, until it is known that it has begun.
      expect(first.first).toBe(passes + (rule.row.startsAtParameter?.length ?? 0));
      const joined = first.values.flat();
      expect(second.values.flat().map(bits)).toEqual(joined.map(bits));
      // In an arena every element goes through the kernel for four, alone the last ones through that for one: WGSL
      // lets their roundings differ, the software adapter's do not.
      if (software) expect(apart.values.flat().map(bits)).toEqual(joined.map(bits));
      else
        apart.values.flat().forEach((values, k) => {
          expect(far(values, joined[k]!)).toEqual([]);
        });
      const [all] = await read(device, [whole(arena.parameters)]);
      for (const { param } of arena.groups[0]!)
        all!.fill(0, param.offset / 4, (param.offset + param.size) / 4);
      expect(all!.every((value) => value === 0)).toBe(true);
      arena.destroy();
      destroy(tensors);
    });

    test("is right at every length and offset and changes nothing beside its ranges", async () => {
      const { device } = watched();
      // Offsets of parameter and gradient within 256 bytes: aligned, congruent modulo 16 with and without a scalar
      // head, congruent but not equal, and not congruent.
      const offsets = [
        [0, 0],
        [4, 4],
        [16, 32],
        [12, 28],
        [4, 8],
        [0, 4],
        [252, 0],
      ] as const;
      const cases = [1, 3, 4, 5, 255, 256, 257].flatMap((length) =>
        offsets.map(([param, grad]) => ({ length, param, grad })),
      );
      const SLOT = 1536;
      const canary = { param: 3.5, grad: -1.25, state: 2.5 };
      const buffer = (values: number) =>
        upload(device, new Float32Array((cases.length * SLOT) / 4).fill(values)).buffer;
      const param = buffer(canary.param);
      const grad = buffer(canary.grad);
      const tensors = cases.map((place, index) => ({
        name: `${index}: ${place.length} at ${place.param}, ${place.grad}`,
        param: { buffer: param, offset: index * SLOT + 256 + place.param, size: place.length * 4 },
        grad: { buffer: grad, offset: index * SLOT + 256 + place.grad, size: place.length * 4 },
      }));
      const initial = tensors.map((tensor, index) => initialOf(index, tensor.param));
      tensors.forEach((tensor, index) => {
        write(device, tensor.param, initial[index]!);
      });
      const optimizer = await createOptimizer(device, { rule, parameters: tensors });
      const { states } = rule.row.shader;
      const stateBuffers = states.map((state) => tensors.map(({ name }) => optimizer.state(name, state)));
      // The gaps of the states get canaries too; the states themselves keep what they begin with.
      const fresh = await read(
        device,
        stateBuffers.map(([range]) => whole(range!.buffer)),
      );
      stateBuffers.forEach((ranges, k) => {
        const before = fresh[k]!;
        const filled = new Float32Array(before.length).fill(canary.state);
        for (const { buffer, offset, size } of ranges) {
          expect(buffer).toBe(ranges[0]!.buffer);
          filled.set(before.subarray(offset / 4, (offset + size) / 4), offset / 4);
        }
        device.queue.writeBuffer(ranges[0]!.buffer, 0, filled);
      });
      const steps = 3;
      for (let t = 1; t <= steps; t += 1) {
        optimizer.lookahead();
        tensors.forEach((tensor, index) => {
          write(device, tensor.grad, gradientOf(index, t, tensor.param));
        });
        optimizer.step();
      }
      const [params, grads, ...stateValues] = await read(device, [
        whole(param),
        whole(grad),
        ...stateBuffers.map(([range]) => whole(range!.buffer)),
      ]);
      optimizer.destroy();
      param.destroy();
      grad.destroy();

      const rates = Array.from({ length: steps }, () => rule.options.lr);
      const runs = tensors.map((tensor, index) => {
        const { offset, size } = tensor.param;
        return {
          name: tensor.name,
          initial: initial[index]!,
          gradients: rates.map((_, step) => gradientOf(index, step + 1, tensor.param)),
          end: params!.slice(offset / 4, (offset + size) / 4),
        };
      });
      const joined = (parts: readonly Float32Array[]) =>
        Float32Array.from(parts.flatMap((part) => [...part]));
      // What sums over all tensors sees them as one.
      const all = {
        name: "all",
        initial: joined(initial),
        gradients: rates.map((_, step) => joined(runs.map((run) => run.gradients[step]!))),
        end: joined(runs.map((run) => run.end)),
      };
      const errors = (rule.row.scope === "all" ? [all] : runs).flatMap(({ name, end, ...run }) =>
        trajectoryErrors(
          // Only the last step was read.
          { ...run, name, rule, rates, after: rates.map((_, step) => (step === steps - 1 ? [end] : [])) },
          TOLERANCE,
        ).map((error) => `${name}: ${error}`),
      );
      expect(errors.slice(0, 5)).toEqual([]);
      const outside = (
        values: Float32Array,
        ranges: readonly { offset: number; size: number }[],
        fill: number,
      ) => {
        for (const { offset, size } of ranges) values.fill(fill, offset / 4, (offset + size) / 4);
        return values.findIndex((value) => value !== fill);
      };
      tensors.forEach((tensor, index) => {
        const { offset, size } = tensor.grad;
        const written = grads!.slice(offset / 4, (offset + size) / 4);
        expect(bits(written), `gradient of ${tensor.name}`).toEqual(
          bits(gradientOf(index, steps, tensor.param)),
        );
      });
      expect(
        outside(
          params!,
          tensors.map((tensor) => tensor.param),
          canary.param,
        ),
        "parameter canary",
      ).toBe(-1);
      expect(
        outside(
          grads!,
          tensors.map((tensor) => tensor.grad),
          canary.grad,
        ),
        "gradient canary",
      ).toBe(-1);
      stateValues.forEach((values, k) => {
        expect(outside(values, stateBuffers[k]!, canary.state), `canary of ${states[k]}`).toBe(-1);
      });
    });
  });

  test.each(some(shapeless, 5).map((factory) => [factory.row.name, factory] as const))(
    "%s: 2 000 steps of a noisy quadratic end far below the start",
    async (name, factory) => {
      const steps = 2000;
      // Curvatures from 1 to 10; noise that shrinks like 1/√t.
      const curvature = (i: number) => 1 + (i % 10);
      const loss = (x: Float32Array) => x.reduce((sum, value, i) => sum + 0.5 * curvature(i) * value ** 2, 0);
      const start = normals(7, 61);
      const end = await descend(watched().device, {
        rule: factory({ lr: RATES[name] ?? 0.02, ...SETTLES[name] }),
        schedule: (step) => 1 - step / steps,
        start,
        slope: "fn slope(i: u32) -> f32 { return f32(1 + i % 10) * x[i] + noise[i]; }",
        noise: normals(8, 64 * steps).map((value, k) => value / Math.sqrt(1 + Math.floor(k / 64))),
        steps,
      });
      // Measured: 1e-7 to 6e-7.
      expect(loss(end) / loss(start)).toBeLessThan(1e-5);
    },
  );

  test.each(rules.filter(({ row }) => row.shader.curvature).map((factory) => [factory.row.name, factory]))(
    "%s: takes in estimates of curvature as the reference does",
    async (name, factory) => {
      const { device, software } = watched();
      const length = 29;
      // Large enough for some elements to leave the bound of the update.
      const rule = factory({ gamma: 1, decay: "decoupled", weightDecay: 0.1 });
      const tensor = loose(device, "x", length);
      write(device, tensor.param, normals(1, length));
      const optimizer = await createOptimizer(device, { rule, parameters: [tensor] });
      const kinds = statesOf(rule);
      const now = async () => {
        const [parameters, ...states] = (
          await read(device, [tensor.param, ...kinds.map((kind) => optimizer.state("x", kind))])
        ).map((values) => Float64Array.from(values));
        return {
          parameters: parameters!,
          state: Object.fromEntries(kinds.map((kind, k) => [kind, states[k]!])),
        };
      };
      const errors: string[] = [];
      const compare = (what: string, got: Float64Array, expected: Float64Array, largest: Float64Array) =>
        got.forEach((value, i) => {
          if (!(Math.abs(value - expected[i]!) <= stepBound(software) * ulp(largest[i]!)))
            errors.push(`${what}[${i}]: ${value}, expected ${expected[i]}`);
        });
      for (let t = 1; t <= 6; t += 1) {
        let before = await now();
        if (t % 2 === 1) {
          // Of both signs and zero.
          const estimate = normals(10 + t, length).map((value, i) => (i % 5 === 0 ? 0 : value));
          write(device, tensor.grad, estimate);
          optimizer.curvature();
          const after = await now();
          const one = referenceCurvature(name, rule.options, Float64Array.from(estimate), before.state);
          expect(after.parameters).toEqual(before.parameters);
          for (const kind of kinds)
            compare(`${kind} of estimate ${t}`, after.state[kind]!, one.state[kind]!, one.largest[kind]!);
          before = after;
        }
        const slope = gradients(20, t, length);
        write(device, tensor.grad, slope);
        optimizer.step();
        const after = await now();
        const at = { t, lr: rule.options.lr };
        const { parameters, state } = before;
        const one = referenceStep(name, rule.options, at, parameters, Float64Array.from(slope), state);
        compare(`θ of step ${t}`, after.parameters, one.parameters, one.largest.parameters);
        for (const kind of kinds)
          compare(`${kind} of step ${t}`, after.state[kind]!, one.state[kind]!, one.largest.state[kind]!);
      }
      expect(errors.slice(0, 5)).toEqual([]);
      optimizer.destroy();
      destroy([tensor]);
    },
  );

  const WIDTHS = [4, 1] as const;
  const engineModules = Object.entries({
    ...Object.fromEntries(
      WIDTHS.flatMap((width) => [
        [`accumulate × ${width}`, overLanes(width) + compensation.code + accumulate],
        [`copy × ${width}`, overLanes(width) + copy],
        [`blend × ${width}`, composeBlend(width, false)],
        [`blend of compensated parameters × ${width}`, composeBlend(width, true)],
        [`ascent × ${width}`, overLanes(width) + control + ascent],
        [`measure × ${width}`, overLanes(width) + overStrips(width) + sumsOf(GRADIENTS) + control + measure],
      ]),
    ),
    sum: sumsOf(GRADIENTS) + sum,
    decide: STAGE_STRUCT + sumsOf(GRADIENTS) + control + clip + decide,
    tensors: sumsOf(CHANGES) + control + clip + tensorSums,
    record: sumsOf(CHANGES) + control + recordShader,
  });
  /** Texts of all kernels, by the file that they are made from. */
  const modules = new Map<string, readonly (readonly [kernel: string, code: string])[]>([
    ["engine", engineModules],
    ...rules
      .map((factory) => ({ factory, row: factory.row, shader: factory.row.shader }))
      .map(({ factory, row, shader }): [string, (readonly [string, string])[]] => [
        shader.file,
        [
          ["alone", shader.code] as const,
          ...(shader.sums.length > 0 ? [["settle", composeSettle(shader)] as const] : []),
          ...passesOf(factory()).map((pass) => [pass.run, composePass(row, pass)] as const),
          ...WIDTHS.flatMap((width) =>
            Object.entries({
              ...(shader.sums.length === 0 && {
                step: composeStep(shader, width, shader.lookahead),
                "compensated step": composeStep({ ...shader, compensation }, width, shader.lookahead),
              }),
              "cautious step": composeGuardedStep({ ...shader, caution }, width, {
                fromOrigin: shader.lookahead,
                values: true,
                sums: true,
              }),
              "count of kept updates": caution.composeCount({ ...shader, caution }, width, shader.lookahead),
              ...Object.fromEntries(
                [false, true].flatMap((sums) =>
                  (shader.sums.length > 0 ? [true] : [false, true]).flatMap((values) => {
                    const form = { fromOrigin: shader.lookahead, values, sums };
                    const kept = { ...shader, compensation };
                    return [
                      [
                        `guarded step, values ${values}, sums ${sums}`,
                        composeGuardedStep(shader, width, form),
                      ] as const,
                      ...(sums
                        ? ([
                            [`summed step, values ${values}`, composeSummedStep(shader, width, form)],
                            [`compensated step, values ${values}`, composeSummedStep(kept, width, form)],
                          ] as const)
                        : []),
                    ];
                  }),
                ),
              ),
              ...(shader.sums.length > 0 && { measure: composeMeasure(shader, width, shader.lookahead) }),
              ...(shader.lookahead && { "look-ahead": composeLookahead(shader, width) }),
              ...(shader.curvature && { curvature: composeCurvature(shader, width, shader.lookahead) }),
            }).map(([kernel, code]) => [`${kernel} × ${width}`, code] as const),
          ),
        ],
      ]),
  ]);
  test.each(some([...modules], 2))("%s: every kernel compiles without a message", async (_, kernels) => {
    const told = await Promise.all(
      kernels.map(async ([kernel, code]) => {
        const { messages } = await watched().device.createShaderModule({ code }).getCompilationInfo();
        return messages.map(({ lineNum, message }) => `${kernel}, ${lineNum}: ${message}`);
      }),
    );
    expect(kernels.length).toBeGreaterThan(1);
    expect(told.flat()).toEqual([]);
  });
});

/** A device whose limits the engine reads as lower than they are; the kernels are the same. */
describe.each([
  // Chunks of four lanes end at the binding limit, scalar ones at the grid, states at the buffer limit.
  { maxStorageBufferBindingSize: 2048, maxComputeWorkgroupsPerDimension: 1, maxBufferSize: 12288 },
  // Chunks of four lanes end at the grid.
  { maxComputeWorkgroupsPerDimension: 1 },
])("under the limits %o", (limits) => {
  const asItIs = useDevice();
  const cut = useDevice(limits);

  // Whole tensors are bound whole: test/gpu/whole.test.ts.
  test.each(
    some(
      byGradients.filter(({ row }) => !row.whole),
      5,
    ).map((factory) => [factory.row.name, factory] as const),
  )("%s: chunks give the bits of the whole", async (_, factory) => {
    const run = async (on: Watched) => {
      const arena = createArena(on.device, [{ a: [1500], b: [300] }]);
      const apart = [
        loose(on.device, "aligned", 1500),
        loose(on.device, "head", 1501, [4, 20]),
        loose(on.device, "scalar", 1502, [8, 12]),
      ];
      const result = await train(on, factory({ weightDecay: 0.05 }), [...arena.groups[0]!, ...apart]);
      arena.destroy();
      destroy(apart);
      return result;
    };
    const [all, chunks] = [await run(asItIs()), await run(cut())];
    expect(chunks.dispatches).toBeGreaterThan(all.dispatches);
    const expected = all.values.flat();
    const got = chunks.values.flat();
    expect(got.map(bits)).toEqual(expected.map(bits));
  });
});
