import { OptimError } from "../errors.js";
import type { Rule } from "../rule.js";
import { type Framework, importRule } from "./import.js";
import { keras } from "./keras.js";
import { optax } from "./optax.js";
import { pytorch } from "./pytorch.js";
import { tensorflow1 } from "./tensorflow1.js";
import { textbook } from "./textbook.js";

export { fromKeras, type KerasObject, type KerasOptimizer } from "./keras-config.js";
export { fromOptax } from "./optax.js";
export { fromPyTorch } from "./pytorch.js";
export { fromTensorFlow1 } from "./tensorflow1.js";
export { fromTextbook } from "./textbook.js";

/** The frameworks whose names and configurations can be imported. */
export const frameworks: Readonly<Record<string, Framework>> = {
  pytorch,
  keras,
  tensorflow1,
  optax,
  textbook,
};

/**
 * The rule that a framework (`pytorch`, `keras`, `tensorflow1`, `optax`, `textbook`) means by an optimizer's name and
 * configuration.
 * @throws OptimError `unknown-name` for a framework or optimizer, `invalid-option` for a wrong configuration.
 */
export function fromFramework(framework: string, name: string, config: object = {}): Rule {
  const from = Object.hasOwn(frameworks, framework) ? frameworks[framework] : undefined;
  if (from) return importRule(from, name, config);
  throw new OptimError("unknown-name", `There is no framework called '${framework}'`, {
    expected: `one of ${Object.keys(frameworks).join(", ")}`,
    got: `'${framework}'`,
    fix: "pass one of these",
  });
}
