import { briefly, OptimError } from "../errors.js";
import { constantRate } from "../schedules/schedule.js";
import { VERSION } from "../version.js";
import { keptOf } from "../whole-tensor.js";
import {
  type CheckpointFormat,
  type CheckpointGroup,
  type CheckpointTensor,
  FORMAT_NAMES,
  FORMAT_VERSION,
  type GroupProgress,
  type GuardProgress,
  OWN_KEYS,
  stateName,
  together,
} from "./contents.js";
import { type SavedSchedules, USER_SCHEDULE } from "./saved-schedules.js";
import type { TensorDescription } from "./write.js";

/** What describes groups as PyTorch does, loaded where that is asked for. */
export type PyTorchTerms = typeof import("./pytorch-terms.js");

/** Options of `save` and `saveStream`. */
export interface SaveOptions {
  /** Whether the parameters are saved beside the states; default true. */
  readonly parameters?: boolean;
  /** `pytorch` describes groups as `torch.optim` does, for the way there and back; default `webgpu-optim`. */
  readonly format?: CheckpointFormat;
  /** The caller's own: `load` gives it back. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Checks what to save.
 * @param pytorch with the format of that name, here and below
 * @throws OptimError `invalid-argument`, or `invalid-option` for a rule that PyTorch has not
 */
export function checkSaveOptions(
  options: SaveOptions,
  groups: readonly CheckpointGroup[],
  pytorch: PyTorchTerms | undefined,
): void {
  const { parameters = true, format = "webgpu-optim", metadata = {} } = options ?? {};
  const names = ["parameters", "format", "metadata"];
  const wrong = (expected: string, got: unknown): never => {
    throw new OptimError("invalid-argument", "The options of save are wrong", {
      expected,
      got: briefly(got),
      fix: "pass { parameters, format, metadata }, each or none",
    });
  };
  if (typeof options !== "object" || options === null) wrong("an object", options);
  for (const name of Object.keys(options))
    if (!names.includes(name)) wrong(`one of ${names.join(", ")}`, `'${name}'`);
  if (typeof parameters !== "boolean") wrong("parameters true or false", parameters);
  if (!Object.hasOwn(FORMAT_NAMES, format)) wrong(`one of ${Object.keys(FORMAT_NAMES).join(", ")}`, format);
  if (typeof metadata !== "object" || metadata === null) wrong("metadata of strings", metadata);
  for (const [key, value] of Object.entries(metadata)) {
    if (OWN_KEYS.includes(key)) wrong(`keys other than ${OWN_KEYS.join(", ")}`, `'${key}'`);
    if (typeof value !== "string") wrong(`a string under '${key}'`, value);
  }
  pytorch?.requirePyTorchForm(groups);
}

/** The tensors of a checkpoint. */
export function describeTensors(
  groups: readonly Pick<CheckpointGroup, "row" | "options" | "tensors" | "states">[],
  parameters: boolean,
): TensorDescription[] {
  const dtype = "F32" as const;
  return groups.flatMap(({ row, options, tensors, states }) => {
    const describe = ({ name, shape }: CheckpointTensor) => {
      const arrays = keptOf(row, shape, options);
      return [
        ...(parameters ? [{ name, dtype, shape }] : []),
        ...states.flatMap((state) => {
          const settled = row.shader.settled.includes(state);
          // What is settled from nothing is nothing, and some arrays are those of matrices alone.
          const array = Object.hasOwn(row.whole?.shader.structs.Tensor ?? {}, state);
          if ((settled && shape.includes(0)) || (array && !arrays[state])) return [];
          return [{ name: stateName(name, state), dtype, shape: settled ? [] : (arrays[state] ?? shape) }];
        }),
      ];
    };
    return tensors.flatMap(describe);
  });
}

/** The metadata of a checkpoint. The schedules are as they were when it was asked for. */
export function describeGroups(
  groups: readonly CheckpointGroup[],
  progress: readonly GroupProgress[],
  schedules: SavedSchedules,
  guards: GuardProgress | undefined,
  { format = "webgpu-optim", metadata = {} }: SaveOptions,
  pytorch: PyTorchTerms | undefined,
): Map<string, string> {
  const described = groups.map((group, index) => {
    const { row, options } = group;
    const come = progress[index]!;
    const { steps, cohorts } = come;
    const names = group.tensors.map(({ name }) => name);
    const others = Object.entries(group.optionSchedules);
    const place = schedules.indexOf(group.schedule);
    const scheduled = {
      schedule: place,
      // Of what no file holds, whether it is a schedule at all.
      ...(schedules.list[place] === USER_SCHEDULE && { constant: group.schedule === constantRate }),
      ...(others.length > 0 && {
        optionSchedules: Object.fromEntries(others.map(([name, other]) => [name, schedules.indexOf(other)])),
      }),
    };
    if (pytorch) return { ...pytorch.describePyTorchGroup(group, come, schedules), names, ...scheduled };
    const apart = together(come) ? {} : { cohorts };
    return {
      rule: row.name,
      options,
      names,
      steps,
      memory: cohorts[0]?.memory ?? [],
      ...apart,
      ...scheduled,
    };
  });
  return new Map([
    ...Object.entries(metadata),
    ["format", FORMAT_NAMES[format]],
    // Older readers take what they can.
    ["format_version", String(progress.every(together) ? 1 : FORMAT_VERSION)],
    ["library", `webgpu-optim ${VERSION}`],
    ["groups", JSON.stringify(described)],
    ["schedules", JSON.stringify(schedules.list)],
    ...(guards ? ([["guards", JSON.stringify(guards)]] as const) : []),
  ]);
}
