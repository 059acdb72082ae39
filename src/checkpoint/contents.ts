import type { RuleMemory, RuleOptions, RuleRow } from "../rule.js";
import type { Schedule } from "../schedules/schedule.js";

/** A tensor as a checkpoint sees it. */
export interface CheckpointTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A parameter group as a checkpoint sees it. */
export interface CheckpointGroup {
  readonly row: RuleRow;
  readonly options: RuleOptions;
  readonly schedule: Schedule;
  /** Schedules of other options, by name. */
  readonly optionSchedules: Readonly<Record<string, Schedule>>;
  readonly tensors: readonly CheckpointTensor[];
  /** Names of what is kept of each tensor: the rule's states, slow weights, average, compensations. */
  readonly states: readonly string[];
}

/** How far tensors have come. */
export interface TensorProgress {
  readonly names: readonly string[];
  readonly steps: number;
  readonly memory: RuleMemory;
}

/** How far a group has come, and its tensors where they have taken other steps than it, or than each other. */
export interface GroupProgress {
  readonly steps: number;
  /** Of all tensors, those that share a count one behind the other. */
  readonly cohorts: readonly TensorProgress[];
}

/** Whether all tensors of a group have taken its steps. */
export const together = ({ steps, cohorts }: GroupProgress): boolean =>
  cohorts.length === 1 && cohorts[0]!.steps === steps;

/** The loss scale of guards, as the GPU holds it, and counts of steps since the optimizer was created. */
export interface GuardProgress {
  /** Whether the scale changes by itself; a fixed one is the caller's. */
  readonly dynamic: boolean;
  readonly lossScale: number;
  /** Steps since the scale last changed. */
  readonly goodSteps: number;
  readonly applied: number;
  readonly skipped: number;
}

/** `pytorch` describes groups in the terms of `torch.optim`. States have PyTorch's names in both. */
export type CheckpointFormat = "webgpu-optim" | "pytorch";

/** What stands under `format` in the metadata of a file. */
export const FORMAT_NAMES: Readonly<Record<CheckpointFormat, string>> = {
  "webgpu-optim": "webgpu-optim",
  pytorch: "webgpu-optim-pytorch",
};

/** Of both formats; a reader refuses newer ones. Version 2 counts the steps of tensors, where these differ. */
export const FORMAT_VERSION = 2;

/** Keys of the metadata that are not the caller's. */
export const OWN_KEYS: readonly string[] = [
  "format",
  "format_version",
  "library",
  "groups",
  "schedules",
  "guards",
];

/** The name of a state in a file. */
export const stateName = (tensor: string, state: string): string => `${tensor}.${state}`;
