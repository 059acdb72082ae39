import { type Options, variantsOf } from "../../src/conformance/variants.js";
import { type RuleFactory, rules } from "../../src/index.js";

/** Every rule at its defaults and at each option's alternatives, one option at a time. */
export const variants: readonly { name: string; factory: RuleFactory; options: Options }[] = rules.flatMap(
  (factory) =>
    variantsOf(factory).map((options) => ({
      name: `${factory.row.name} ${JSON.stringify(options)}`,
      factory,
      options,
    })),
);
