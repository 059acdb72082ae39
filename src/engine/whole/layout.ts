import type { RuleOptions } from "../../rule.js";
import { elements, type WholeShape, type WholeTensor, wholeShape } from "../../whole-tensor.js";
import type { Tensor } from "../memory/parameters.js";

/** Arrays begin where a caller may bind them. */
const ALIGNMENT = 256;
const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Where the arrays of one tensor lie, from the beginning of its own. */
export interface Layout {
  readonly whole: WholeShape;
  /** Bytes in `kept`. */
  readonly kept: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
  /** In `scratch`, in vec4f. */
  readonly scratch: Readonly<Record<string, number>>;
  /** Fields of `Tensor` that are the rule's own. */
  readonly fields: Readonly<Record<string, number>>;
  readonly keptBytes: number;
  readonly scratchBytes: number;
}

/** Where arrays of vec4f of these lengths begin, one behind the other. */
export function layArrays(lengths: Readonly<Record<string, number>>) {
  let vectors = 0;
  const firsts = Object.entries(lengths).map(([name, length]) => {
    const first = vectors;
    vectors += length;
    return [name, first] as const;
  });
  return { firsts: Object.fromEntries(firsts) as Readonly<Record<string, number>>, bytes: 16 * vectors };
}

/** Lays out what a rule needs of a tensor. */
export function layOut(
  rule: WholeTensor,
  { shape, name }: Pick<Tensor, "shape" | "name">,
  options: RuleOptions,
): Layout {
  const whole = wholeShape(rule, shape, options, name);
  let keptBytes = 0;
  const kept = Object.entries(rule.kept?.(whole, options) ?? {}).map(([name, own]) => {
    const offset = keptBytes;
    const size = 4 * elements(own);
    keptBytes += aligned(size);
    return [name, { offset, size }] as const;
  });
  const scratch = layArrays(rule.scratch?.(whole, options) ?? {});
  return {
    whole,
    kept: Object.fromEntries(kept),
    scratch: scratch.firsts,
    fields: rule.fields?.(whole, options) ?? {},
    keptBytes,
    scratchBytes: scratch.bytes,
  };
}
