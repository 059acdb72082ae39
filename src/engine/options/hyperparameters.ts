import type { RuleFactory } from "../../rule.js";

/** No options beside those of the library's rules. */
export type NoOptions = Readonly<Record<never, never>>;

/** Options of any name and type, as the checks take them in. */
export type AnyOptions = Readonly<Record<string, unknown>>;

/** The options that a rule takes, with their types: `OptionsOf<typeof adam>`. */
export type OptionsOf<Factory> = Factory extends RuleFactory<infer Options, infer _> ? Options : never;

// Of types only, so that no rule enters a bundle by this.
type Rules = typeof import("../../kernels.js");
type OptionsOfRules = { readonly [Name in keyof Rules]: OptionsOf<Rules[Name]> }[keyof Rules];
type NamesOf<Options> = Options extends unknown ? keyof Options : never;
type ValuesOf<Options, Name> = Options extends unknown
  ? Name extends keyof Options
    ? Options[Name]
    : never
  : never;

/** The options of the library's rules. A value is of a type that some rule takes under its name. */
type LibraryOptions = { readonly [Name in NamesOf<OptionsOfRules>]: ValuesOf<OptionsOfRules, Name> };

/**
 * Hyperparameters by name, all optional: those of the library's rules, and `Own` of rules that the caller defines. Whether
 * the rule in question has such an option is checked when it is set. Where the names of `Own` are not known, any will do.
 */
export type Hyperparameters<Own extends object = NoOptions> = string extends keyof Own
  ? AnyOptions
  : {
      readonly [Name in keyof LibraryOptions | keyof Own]?:
        | ValuesOf<LibraryOptions, Name>
        | ValuesOf<Own, Name>;
    };
