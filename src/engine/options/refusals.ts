// What is said where an optimizer cannot be made, or take up parameters: of interest where it happens, and loaded then.
import { briefly, OptimError } from "../../errors.js";

const usageOf = (buffer: GPUBuffer): string => `usage 0x${buffer.usage.toString(16)}`;

export const noDevice = (device: unknown) =>
  new OptimError("invalid-argument", "There is no device", {
    expected: "a GPUDevice",
    got: briefly(device),
    fix: "await requestDevice() and pass what it gives",
  });

export { computesNothingError as computesNothing } from "../device.js";

export const unknownOption = (name: string, known: readonly string[]) =>
  new OptimError("invalid-argument", `createOptimizer has no option '${name}'`, {
    expected: `one of ${known.join(", ")}`,
    got: `'${name}'`,
    fix: "hyperparameters go to the rule or to a group",
  });

export const noCount = (stepsInFlight: unknown) =>
  new OptimError("invalid-argument", "stepsInFlight is no count", {
    expected: "a whole number of at least 1",
    got: briefly(stepsInFlight),
    fix: "leave it out for 64",
  });

export const noLists = (parameters: unknown, groups: unknown) =>
  new OptimError("invalid-argument", "There are no parameters", {
    expected: "either a list 'parameters' or a list 'groups'",
    got: parameters === undefined ? briefly(groups) : groups === undefined ? briefly(parameters) : "both",
    fix: "pass { parameters: [{ name, param, grad }] }",
  });

export const noParameter = (groups: number) =>
  new OptimError("invalid-argument", `There is no parameter${groups === 0 ? " group" : ""}`, {
    expected: "at least one, in some group",
    got: "none",
    fix: "pass the parameters to train",
  });

export const noList = (what: string, parameters: unknown) =>
  new OptimError("invalid-argument", `${what} has no list of parameters`, {
    expected: "{ parameters: [{ name, param, grad }], … }",
    got: briefly(parameters),
    fix: "pass a list",
  });

export const noRule = (what: string, rule: unknown) =>
  new OptimError("invalid-argument", `${what} has no rule`, {
    expected: "a rule from a factory, such as adam({ lr: 1e-3 })",
    got: briefly(rule),
    fix: "import { adam } and pass rule: adam()",
  });

export const noCopyTarget = (rule: string, name: string, buffer: GPUBuffer) =>
  new OptimError("invalid-buffer", `Parameter of '${name}' cannot be restored after a look-ahead`, {
    expected: `usage STORAGE | COPY_DST, which ${rule} needs`,
    got: usageOf(buffer),
    fix: "create the buffer with GPUBufferUsage.COPY_DST as well",
  });

export const noName = (name: unknown) =>
  new OptimError("invalid-argument", "A parameter has no name", {
    expected: "a non-empty string",
    got: briefly(name),
    fix: "give each parameter a unique name: its state is kept under it",
  });

export const takenName = (name: string) =>
  new OptimError("duplicate-name", `Two parameters are named '${name}'`, {
    expected: "unique names in all groups",
    got: `'${name}' twice`,
    fix: "rename one, or list the tensor in one group only",
  });

export const tooShort = (name: string, needed: number, shape: readonly number[] | undefined, size: number) =>
  new OptimError("invalid-buffer", `Parameter of '${name}' is too short for its shape`, {
    expected: `${needed} bytes for shape [${shape?.join(", ")}]`,
    got: `${size} bytes`,
    fix: "pass the buffer that holds the tensor, or correct the shape",
  });

export const tooMany = (
  label: string,
  what: string,
  limit: string,
  most: number,
  needed: number,
  fix: string,
) =>
  new OptimError("limit-exceeded", `'${label}' needs too many ${what}`, {
    expected: `at most ${most} (${limit})`,
    got: `${needed}`,
    fix,
  });
