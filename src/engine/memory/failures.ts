// What is said where GPU work fails, loaded then.
import { OptimError } from "../../errors.js";

export const FAILURES = {
  creation: {
    memory: (label: string) => `There is no GPU memory for the state of '${label}'`,
    other: (label: string) => `'${label}' cannot be created`,
    fixMemory: "free buffers, or take a rule with less state",
    fixOther: "check that every buffer is alive, unmapped and of this device",
  },
  stepping: {
    memory: (label: string) => `There is no GPU memory to step these tensors of '${label}'`,
    other: (label: string) => `'${label}' cannot step these tensors`,
    fixMemory: "free buffers",
    fixOther: "check that their gradients are alive, or set others",
  },
  checkpoint: {
    memory: (label: string) => `There is no memory to stage a checkpoint of '${label}'`,
    other: (label: string) => `'${label}' cannot be copied`,
    fixMemory: "free buffers",
    fixOther: "check that every buffer is alive and unmapped",
  },
} as const;

/** Why GPU work failed: `out-of-memory` or `gpu-error`. */
export function failed(
  label: string,
  what: keyof typeof FAILURES,
  cause: unknown,
  isMemory: boolean,
): OptimError {
  const { memory, other, fixMemory, fixOther } = FAILURES[what];
  const got = (cause as { message?: string }).message ?? String(cause);
  return isMemory
    ? new OptimError("out-of-memory", memory(label), { got, fix: fixMemory }, { cause })
    : new OptimError("gpu-error", other(label), { got, fix: fixOther }, { cause });
}
