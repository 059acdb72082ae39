// The serialized form of Keras: an optimizer with all that stands around its rule.
import type { AverageOptions } from "../engine/options/average-options.js";
import type { GuardOptions } from "../engine/options/guard-options.js";
import { briefly, OptimError } from "../errors.js";
import type { Rule } from "../rule.js";
import type { Schedule } from "../schedules/schedule.js";
import { importRule, invalidConfig } from "./import.js";
import { keras } from "./keras.js";
import { scheduleFromKeras } from "./schedules/keras.js";

/** What `keras.optimizers.serialize` gives. */
export interface KerasObject {
  readonly class_name: string;
  readonly config: object;
  readonly module?: string;
  readonly registered_name?: string | null;
}

/** An optimizer of Keras, to be spread into the options of `createOptimizer`. */
export interface KerasOptimizer {
  readonly rule: Rule;
  readonly schedule?: Schedule;
  readonly guards?: GuardOptions;
  readonly average?: AverageOptions;
  /** Set with `gradient_accumulation_steps` k: call `accumulate()` for k − 1 micro-batches, then `step()`. */
  readonly accumulation?: true;
}

const FIELDS = ["class_name", "config", "module", "registered_name", "build_config", "shared_object_id"];
const CLIPS = { clipvalue: "clipValue", clipnorm: "clipNorm", global_clipnorm: "clipGlobalNorm" } as const;

/** Keras knows neither floor nor cap; these are the least normal f32 and a power of two near the largest. */
const UNBOUNDED = { min: 2 ** -126, max: 2 ** 126 };

/**
 * The optimizer that Keras serialized: its rule with decoupled decay, its schedule, its clipping and loss scale as guards,
 * its moving average. Non-finite gradients are kept, as Keras keeps them, but under a `LossScaleOptimizer`.
 * @throws OptimError `invalid-argument` for what is no serialized optimizer, `unknown-name` for an optimizer,
 * `invalid-option` for a key that is unknown, of the wrong type, out of range, or cannot be carried out,
 * `invalid-schedule` for a wrong schedule.
 */
export function fromKeras(serialized: KerasObject): KerasOptimizer {
  const { class_name: name, config } = checkObject(serialized);
  if (name === "LossScaleOptimizer") return scaled(config);
  const given: Record<string, unknown> = { ...config };
  const take = (key: string): unknown => {
    const value = given[key] ?? null;
    delete given[key];
    return value;
  };
  const refuse = (key: string, expected: string, got: unknown): never => {
    const title = `Key '${key}' of Keras's ${name} cannot be carried out`;
    throw invalidConfig(title, expected, got, "leave it out");
  };
  const number = (key: string): number | null => {
    const value = take(key);
    return value === null || (typeof value === "number" && Number.isFinite(value))
      ? value
      : refuse(key, "a finite number or null", value);
  };

  const clips = Object.entries(CLIPS).flatMap(([key, guard]) => {
    const limit = number(key);
    return limit === null ? [] : [[key, guard, limit] as const];
  });
  const [, second] = clips;
  if (second) refuse(second[0], "one kind of clipping, as Keras does", second[2]);
  // Keras clips at limits above 0 only.
  const clip = clips.filter(([, , limit]) => limit > 0).map(([, guard, limit]) => [guard, limit] as const);
  const lossScale = number("loss_scale_factor");

  const averaged = take("use_ema") ?? false;
  if (typeof averaged !== "boolean") refuse("use_ema", "true or false", averaged);
  const decay = number("ema_momentum") ?? 0.99;
  const overwrites = take("ema_overwrite_frequency");
  if (averaged && overwrites !== null)
    refuse("ema_overwrite_frequency", "null: swapAverage() is the caller's", overwrites);
  const microBatches = number("gradient_accumulation_steps");
  // Keras lets the average move at each of them.
  if (microBatches !== null && averaged)
    refuse("gradient_accumulation_steps", "null with use_ema", microBatches);

  const rate = given.learning_rate;
  const scheduled =
    typeof rate === "object" && rate !== null ? scheduleFromKeras(rate as KerasObject) : undefined;
  // Keras's schedules count micro-batches.
  if (scheduled && microBatches !== null)
    refuse("learning_rate", "a number with gradient_accumulation_steps", rate);
  if (scheduled) given.learning_rate = scheduled.lr;

  return {
    rule: importRule(keras, name, given),
    ...(scheduled && { schedule: scheduled.schedule }),
    ...((clip.length > 0 || lossScale !== null) && {
      guards: {
        ...Object.fromEntries(clip),
        clipFormula: "optax" as const,
        nonFinite: "keep" as const,
        ...(lossScale !== null && { lossScale }),
      },
    }),
    ...(averaged === true && { average: { decay } }),
    ...(microBatches !== null && { accumulation: true as const }),
  };
}

/** Keys that older files have of a LossScaleOptimizer, which takes them at these values only. */
const PASSIVE: Readonly<Record<string, unknown>> = {
  name: undefined,
  weight_decay: null,
  clipnorm: null,
  global_clipnorm: null,
  clipvalue: null,
  use_ema: false,
  ema_momentum: 0.99,
  ema_overwrite_frequency: null,
  loss_scale_factor: null,
  gradient_accumulation_steps: null,
};

/** LossScaleOptimizer: doubles after `dynamic_growth_steps` finite steps, halves and skips at a non-finite one. */
function scaled(config: object): KerasOptimizer {
  const title = "Keras's LossScaleOptimizer";
  const {
    inner_optimizer,
    initial_scale = 2 ** 15,
    dynamic_growth_steps = 2000,
    ...rest
  } = config as Record<string, unknown>;
  for (const [key, value] of Object.entries(rest))
    if (!Object.hasOwn(PASSIVE, key) || (key !== "name" && value !== PASSIVE[key]))
      throw invalidConfig(
        `Key '${key}' of ${title} cannot be carried out`,
        Object.hasOwn(PASSIVE, key)
          ? briefly(PASSIVE[key])
          : "inner_optimizer, initial_scale, dynamic_growth_steps",
        value,
        "set it on the inner optimizer, or leave it out",
      );
  for (const [key, value] of Object.entries({ initial_scale, dynamic_growth_steps }))
    if (typeof value !== "number")
      throw invalidConfig(`Key '${key}' of ${title} is ill-typed`, "a number", value, "pass a number");
  const inner = fromKeras(inner_optimizer as KerasObject);
  if (inner.guards?.lossScale !== undefined)
    throw invalidConfig(
      `${title} around a 'loss_scale_factor' cannot be carried out`,
      "one of the two",
      inner.guards.lossScale,
      "leave one of them out",
    );
  const lossScale = {
    initial: initial_scale as number,
    growth: 2,
    backoff: 0.5,
    interval: dynamic_growth_steps as number,
    ...UNBOUNDED,
  };
  return { ...inner, guards: { clipFormula: "optax", ...inner.guards, nonFinite: "skip", lossScale } };
}

function checkObject(serialized: KerasObject): KerasObject {
  const refuse = (expected: string, got: string): never => {
    throw new OptimError("invalid-argument", "This is no serialized optimizer of Keras", {
      expected,
      got,
      fix: "pass what keras.optimizers.serialize(optimizer) gives",
    });
  };
  const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(serialized)) refuse("{ class_name, config }", briefly(serialized));
  for (const field of Object.keys(serialized))
    if (!FIELDS.includes(field)) refuse(`fields ${FIELDS.join(", ")}`, `'${field}'`);
  const { class_name, config, module, registered_name } = serialized;
  if (typeof class_name !== "string") refuse("class_name, a text", briefly(class_name));
  if (!isObject(config)) refuse("config, an object", briefly(config));
  // A class of the user's own has a registered name and another module.
  if (module !== undefined && !module?.startsWith("keras")) refuse("a module of keras", briefly(module));
  if (registered_name != null && registered_name !== class_name) refuse(class_name, briefly(registered_name));
  return serialized;
}
