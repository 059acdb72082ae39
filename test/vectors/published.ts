// Numbers of public test suites: format 3, figures with their citation in each case's `source`.
import { OptimError } from "../../src/errors.js";
import content from "./published/optimizers.json";

/** A tensor as the file writes it; `Infinity` is a text there. */
export type Nested = number | string | readonly Nested[];

interface Step {
  readonly after_step?: number;
  readonly after_call?: number;
  readonly params?: readonly Nested[];
  readonly [result: string]: unknown;
}

interface PublishedRecord {
  readonly id: string;
  readonly optimizer: string;
  readonly hyperparameters: Readonly<Record<string, unknown>>;
  readonly initial_params?: readonly Nested[];
  readonly gradients?: readonly { readonly repeat: number; readonly values: readonly Nested[] }[];
  readonly expected?: readonly Step[];
  readonly float64_params?: readonly Step[];
  readonly check?: { readonly quality: string };
  readonly vectors?: PublishedCase["vectors"];
  readonly variants?: PublishedCase["variants"];
}

/** One case, its tensors flat: the numbers of the source, or their float64 re-derivation where there is one. */
export interface PublishedCase {
  readonly id: string;
  readonly optimizer: string;
  readonly hyperparameters: Readonly<Record<string, unknown>>;
  /** Of the source's figures: `exact`, `float32-precise`, `4-digit`, `suspect`; undefined for a scenario. */
  readonly quality: string | undefined;
  readonly initial: readonly Float64Array[];
  /** Of every step, of every tensor. */
  readonly gradients: readonly (readonly Float64Array[])[];
  /** Parameters after some of the steps. */
  readonly expected: ReadonlyMap<number, readonly Float64Array[]>;
  /** All that is known after some of the steps, as it is in the file. */
  readonly results: readonly Step[];
  /** Of clipping: what becomes of a gradient. */
  readonly vectors: readonly {
    readonly mode: string;
    readonly limit: number;
    readonly input: readonly Nested[];
    readonly output: readonly Nested[];
  }[];
  /** Of the moving average: two steps with one gradient. */
  readonly variants: readonly {
    readonly learning_rate: number;
    readonly initial_params: readonly Nested[];
    readonly gradient: readonly Nested[];
    readonly after_2: readonly Nested[];
    readonly average_after_2: readonly Nested[];
  }[];
}

const numbers = (value: Nested): number[] =>
  Array.isArray(value) ? value.flatMap(numbers) : [Number(value)];

/** The values of every tensor, flat. */
export const flat = (tensors: readonly Nested[]): Float64Array[] =>
  tensors.map((values) => Float64Array.from(numbers(values)));

/**
 * The cases of a file of published optimizer vectors.
 * @throws OptimError `invalid-argument` for another file.
 */
export function readPublished(file: unknown): PublishedCase[] {
  const { cases } = (file ?? {}) as { readonly cases?: readonly PublishedRecord[] };
  if (!Array.isArray(cases))
    throw new OptimError("invalid-argument", "This file holds no published cases", {
      expected: "{ cases: […] }",
      got: typeof file,
      fix: "pass published/optimizers.json",
    });
  return (cases as readonly PublishedRecord[]).map((record) => {
    const results = record.expected ?? [];
    const steps = record.float64_params ?? results;
    return {
      id: record.id,
      optimizer: record.optimizer,
      hyperparameters: record.hyperparameters,
      quality: record.check?.quality,
      initial: flat(record.initial_params ?? []),
      gradients: (record.gradients ?? []).flatMap(({ repeat, values }) =>
        Array.from({ length: repeat }, () => flat(values)),
      ),
      expected: new Map(
        steps.flatMap(({ after_step: after, params }) =>
          after !== undefined && params ? [[after, flat(params)] as const] : [],
        ),
      ),
      results,
      vectors: record.vectors ?? [],
      variants: record.variants ?? [],
    };
  });
}

/** Every published case. */
export const published: readonly PublishedCase[] = readPublished(content);

/** The case of this id. */
export function publishedCase(id: string): PublishedCase {
  const found = published.find((one) => one.id === id);
  if (found) return found;
  throw new OptimError("unknown-name", `There is no published case '${id}'`, {
    got: `'${id}'`,
    fix: "correct the id",
  });
}
