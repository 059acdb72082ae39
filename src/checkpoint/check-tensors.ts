import { AVERAGE, isCompensation, SLOW } from "../engine/memory/group-memory.js";
import type { CheckpointGroup } from "./contents.js";
import { describeTensors } from "./describe.js";
import { quoted } from "./format.js";
import type { LoadOptions } from "./load.js";
import type { TensorRange } from "./read.js";
import { OTHER, refuse } from "./refuse.js";

/** States of the engine that begin as copies of the parameters. */
const COPIES = [SLOW, AVERAGE];

/** A state that begins anew. */
export interface FreshState {
  /** What its elements begin with; the parameters of its tensor where that is undefined. */
  readonly value: number | undefined;
  readonly tensor: string;
}

/** The tensors of a file that an optimizer takes, and the states that begin anew instead. @throws OptimError `invalid-checkpoint` */
export function checkTensors(
  tensors: ReadonlyMap<string, TensorRange>,
  groups: readonly CheckpointGroup[],
  options: LoadOptions,
  {
    nameInFile,
    fresh,
    missing,
    extra,
  }: {
    readonly nameInFile: (name: string) => string;
    /** Names of tensors before their first step. */
    readonly fresh: ReadonlySet<string>;
    /** Names of tensors that the file has not, and that it alone has. */
    readonly missing: ReadonlySet<string>;
    readonly extra: readonly string[];
  },
): {
  readonly tensors: ReadonlyMap<string, TensorRange>;
  readonly begun: ReadonlyMap<string, FreshState>;
} {
  const found = new Map<string, TensorRange>();
  const begun = new Map<string, FreshState>();
  const known = new Set<string>();
  for (const { row, options: own, tensors: list, states } of groups) {
    const initial = row.initial?.(own) ?? {};
    for (const one of list) {
      const [parameter, ...kept] = describeTensors([{ row, options: own, tensors: [one], states }], true);
      const wanted = options.parameters === false ? kept : [parameter!, ...kept];
      for (const { name } of [parameter!, ...kept]) known.add(nameInFile(name));
      for (const { name, shape } of missing.has(one.name) ? kept : wanted) {
        const tensor = missing.has(one.name) ? undefined : tensors.get(nameInFile(name));
        const state = name.slice(one.name.length + 1);
        if (tensor) {
          requireLike(name, shape, tensor);
          found.set(name, tensor);
          continue;
        }
        // No older file has compensations; and what has not begun need not be there.
        const optional = isCompensation(state) && !row.shader.states.includes(state);
        const isParameter = name === one.name;
        if (isParameter || !(optional || fresh.has(one.name) || options.missing === "fresh"))
          refuse(
            `The checkpoint lacks tensor ${quoted(name)}`,
            quoted(name),
            `${tensors.size} other tensors`,
            isParameter ? "load with { parameters: false } where it was saved so" : OTHER,
          );
        const copied = COPIES.includes(state) || row.startsAtParameter?.includes(state);
        begun.set(name, { value: copied ? undefined : (initial[state] ?? 0), tensor: one.name });
      }
    }
  }
  const others = options.extra === "ignore" ? extra : [];
  for (const name of tensors.keys())
    if (!known.has(name) && !others.some((other) => name === other || name.startsWith(`${other}.`)))
      refuse(`The checkpoint has a tensor too many`, "those of this optimizer", quoted(name), OTHER);
  return { tensors: found, begun };
}

function requireLike(name: string, shape: readonly number[], tensor: TensorRange): void {
  if (tensor.dtype !== "F32" || tensor.shape.join() !== shape.join())
    refuse(
      `Tensor ${quoted(name)} of the checkpoint is another`,
      `F32 [${shape.join(", ")}]`,
      `${tensor.dtype} [${tensor.shape.join(", ")}]`,
      OTHER,
    );
}
