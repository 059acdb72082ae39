import { createArena, createOptimizer, type Rule } from "../../src/index.js";
import { read, upload, write } from "./buffers.js";
import type { Watched } from "./device.js";

/** A rule over one tensor that is zero before each step, what a step makes of it, and what is kept of it. */
export async function matrix({ device }: Watched, shape: readonly number[], rule: Rule) {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const zeros = new Float32Array(count);
  const [param, grad] = [upload(device, zeros), upload(device, zeros)];
  const optimizer = await createOptimizer(device, { rule, parameters: [{ name: "w", shape, param, grad }] });
  return {
    rule,
    count,
    optimizer,
    async step(gradient: Float32Array) {
      write(device, param, zeros);
      write(device, grad, gradient);
      optimizer.step();
      const [after] = await read(device, [param]);
      return after!.map((value) => -value);
    },
    async kept(names: readonly string[]) {
      const values = await read(
        device,
        names.map((name) => optimizer.state("w", name)),
      );
      return Object.fromEntries(names.map((name, index) => [name, Float64Array.from(values[index]!)]));
    },
    destroy() {
      optimizer.destroy();
      param.buffer.destroy();
      grad.buffer.destroy();
    },
  };
}

/** How many dispatches a step over so many matrices takes. */
export async function dispatchesOf({ device, counts }: Watched, rule: Rule, many: number): Promise<number> {
  const arena = createArena(device, [
    Object.fromEntries(Array.from({ length: many }, (_, index) => [`t${index}`, [5 + (index % 3), 4]])),
  ]);
  const optimizer = await createOptimizer(device, { rule, parameters: arena.groups[0]! });
  const before = counts.dispatches;
  optimizer.step();
  const own = counts.dispatches - before;
  optimizer.destroy();
  arena.destroy();
  return own;
}
