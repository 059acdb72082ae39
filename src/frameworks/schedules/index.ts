import { briefly, OptimError } from "../../errors.js";
import { scheduleFromHuggingFace } from "./huggingface.js";
import type { ImportedSchedule } from "./import.js";
import { scheduleFromKeras } from "./keras.js";
import { scheduleFromOptax } from "./optax.js";
import { scheduleFromPyTorch } from "./pytorch.js";
import { scheduleFromTensorFlow1 } from "./tensorflow1.js";
import { scheduleFromTextbook } from "./textbook.js";

export type { ImportedSchedule } from "./import.js";
export {
  scheduleFromHuggingFace,
  scheduleFromKeras,
  scheduleFromOptax,
  scheduleFromPyTorch,
  scheduleFromTensorFlow1,
  scheduleFromTextbook,
};

type Import = (name: string, params: object, baseLr: number | undefined) => ImportedSchedule;

const imports: Readonly<Record<string, Import>> = {
  pytorch: scheduleFromPyTorch,
  keras: (class_name, config) => scheduleFromKeras({ class_name, config }),
  tensorflow1: scheduleFromTensorFlow1,
  optax: scheduleFromOptax,
  huggingface: scheduleFromHuggingFace,
  textbook: scheduleFromTextbook,
};

/**
 * The schedule that a framework (`pytorch`, `keras`, `tensorflow1`, `optax`, `huggingface`, `textbook`) means by a name and
 * parameters.
 * @param baseLr the optimizer's rate, for schedules of PyTorch's and Hugging Face's that multiply it
 * @throws OptimError `unknown-name` for a framework or schedule, `invalid-schedule` for wrong parameters
 */
export function scheduleFromFramework(
  framework: string,
  name: string,
  params: object = {},
  baseLr?: number,
): ImportedSchedule {
  const from = Object.hasOwn(imports, framework) ? imports[framework] : undefined;
  if (from) return from(name, params, baseLr);
  throw new OptimError("unknown-name", "There is no framework of this name with schedules", {
    expected: `one of ${Object.keys(imports).join(", ")}`,
    got: briefly(framework),
    fix: "pass one of these",
  });
}
