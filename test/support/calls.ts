import type { Optimizer } from "../../src/index.js";

/** A way to use an optimizer that must fail once its device is lost. */
export type Call = readonly [
  name: string,
  call: (optimizer: Optimizer, encoder: GPUCommandEncoder) => unknown,
];

/**
 * Every method and getter of an optimizer that can fail, with arguments that suit one of `adam` over a tensor `x` with
 * accumulation, guards and telemetry.
 */
export const calls: readonly Call[] = [
  ["encode", (optimizer, encoder) => optimizer.encode(encoder)],
  ["step", (optimizer) => optimizer.step()],
  ["minimize", (optimizer) => optimizer.minimize(() => 0)],
  ["lookahead", (optimizer) => optimizer.lookahead()],
  ["outputGradient", (optimizer) => optimizer.outputGradient()],
  ["swapAverage", (optimizer) => optimizer.swapAverage()],
  ["curvature", (optimizer) => optimizer.curvature()],
  ["ascend", (optimizer) => optimizer.ascend()],
  ["restore", (optimizer) => optimizer.restore()],
  ["accumulate", (optimizer) => optimizer.accumulate()],
  ["submitted", (optimizer) => optimizer.submitted()],
  ["abandon", (optimizer) => optimizer.abandon()],
  ["setGradients", (optimizer) => optimizer.setGradients({})],
  ["state", (optimizer) => optimizer.state("x", "exp_avg")],
  ["setGuards", (optimizer) => optimizer.setGuards({})],
  ["lossScale", (optimizer) => optimizer.lossScale],
  ["reports", (optimizer) => optimizer.reports],
  ["failure", (optimizer) => optimizer.failure],
  ["addGroup", (optimizer) => optimizer.addGroup({ parameters: [] })],
  ["addParameters", (optimizer) => optimizer.addParameters(optimizer.groups[0]!, [])],
  ["freeze", (optimizer) => optimizer.freeze("x")],
  ["thaw", (optimizer) => optimizer.thaw("x")],
  ["save", (optimizer) => optimizer.save()],
  ["saveStream", (optimizer) => optimizer.saveStream()],
  ["load", (optimizer) => optimizer.load(new Uint8Array())],
  ["settled", (optimizer) => optimizer.settled()],
];

/** The methods and getters that the list must hold: all but those that only tell what the host knows. */
export const callNames = (optimizer: Optimizer): readonly string[] =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(optimizer)).filter(
    (name) => !["constructor", "destroy", "averaged", "frozen"].includes(name),
  );
