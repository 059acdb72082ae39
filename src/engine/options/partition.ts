import { briefly, OptimError } from "../../errors.js";
import type { Parameter } from "../memory/parameters.js";
import type { AnyOptions, Hyperparameters, NoOptions } from "./hyperparameters.js";
import type { GroupOptions, GroupParts } from "./optimizer-options.js";

/** Which parameters a group takes, and its options: all but `parameters` of {@link GroupOptions}. */
export type GroupPattern<Own extends object = NoOptions> = Omit<GroupParts<Own>, "parameters"> & {
  /** On names: a regular expression, or a predicate that also sees the shape. Left out: all that are left. */
  readonly match?: RegExp | ((name: string, shape: readonly number[] | undefined) => boolean) | undefined;
} & Hyperparameters<NoInfer<Own>>;

/**
 * Sorts parameters into groups: each goes to the first pattern that matches. Groups that stay empty are left out. For
 * no decay on biases and norms:
 * `partition(parameters, [{ match: /bias|norm/, weightDecay: 0 }, {}])`.
 * @throws OptimError `invalid-argument` for a parameter that no pattern takes, or a pattern that is none
 */
export function partition<Own extends object = NoOptions>(
  parameters: readonly Parameter[],
  patterns: readonly GroupPattern<Own>[],
): readonly GroupOptions<Own>[];
export function partition(
  parameters: readonly Parameter[],
  patterns: readonly GroupPattern<AnyOptions>[],
): readonly GroupOptions<AnyOptions>[] {
  for (const [what, list] of Object.entries({ parameters, patterns }))
    if (!Array.isArray(list) || list.some((item) => typeof item !== "object" || item === null))
      throw new OptimError("invalid-argument", `The ${what} to sort are no list of objects`, {
        expected: "partition([{ name, param, grad }], [{ match: /bias/, weightDecay: 0 }, {}])",
        got: briefly(list),
        fix: "pass two lists",
      });
  const groups = patterns.map(({ match, ...options }) => {
    if (match !== undefined && typeof match !== "function" && !(match instanceof RegExp))
      throw new OptimError("invalid-argument", "A group pattern matches by what is no pattern", {
        expected: "a regular expression or a function of name and shape",
        got: briefly(match),
        fix: "pass match: /bias/",
      });
    return { match, options, parameters: [] as Parameter[] };
  });
  for (const parameter of parameters) {
    const { name, shape } = parameter;
    const group = groups.find(({ match }) =>
      // A regular expression with the flag g would go on from its last match.
      match instanceof RegExp ? name.search(match) >= 0 : (match?.(name, shape) ?? true),
    );
    if (!group)
      throw new OptimError("invalid-argument", `No group takes '${name}'`, {
        expected: "a pattern that matches each parameter",
        got: `${patterns.length} patterns`,
        fix: "end the list with {}",
      });
    group.parameters.push(parameter);
  }
  return groups
    .filter(({ parameters }) => parameters.length > 0)
    .map(({ options, parameters }) => ({ ...options, parameters }));
}
