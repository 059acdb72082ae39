// PyTorch's and the textbook's runs, from their names and configurations, free-running on the GPU.
import { describe, expect, test } from "vitest";
import { createOptimizer, fromFramework } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { record } from "../support/record.js";
import { type Trajectory, trajectories } from "../vectors/trajectories.js";

const watched = useDevice();

/** f32 rounding of 20 to 25 steps, each a handful of roundings of 6e-8 of the parameter or the update. */
const TOLERANCE = 2e-6;

/** Whether the gradients of a run depend on the point where they are taken. */
function dependsOnPoint({ initial, gradient }: Trajectory): boolean {
  return Object.entries(initial).some(([name, values]) => {
    const [here, there] = [0, 1].map((x) => gradient(1, name, new Float64Array(values.length).fill(x)));
    return here!.some((value, i) => value !== there![i]);
  });
}

/** Runs a trajectory on the GPU; gives the parameters of each tensor after the steps that have expectations. */
async function run(trajectory: Trajectory): Promise<Map<number, readonly Float32Array[]>> {
  const { device } = watched();
  const { framework, optimizer: name, config, steps, initial, expected } = trajectory;
  const tensors = Object.entries(initial).map(([name, values]) => ({
    name,
    param: upload(device, values, { label: name }),
    grad: upload(device, new Float32Array(values.length), { label: `${name} gradient` }),
  }));
  const optimizer = await createOptimizer(device, {
    rule: fromFramework(framework, name, config),
    parameters: tensors,
  });
  const params = tensors.map(({ param }) => param);
  const grads = tensors.map(({ grad }) => grad);
  const rate = (t: number) => {
    const lr = trajectory.rate(t);
    if (lr !== undefined) optimizer.groups[0]!.lr = lr;
  };
  const gradients = (t: number, points: readonly ArrayLike<number>[]) =>
    tensors.map(({ name }, index) => trajectory.gradient(t, name, Float64Array.from(points[index] ?? [])));

  const results = new Map<number, readonly Float32Array[]>();
  if (dependsOnPoint(trajectory)) {
    for (let t = 1; t <= steps; t += 1) {
      rate(t);
      optimizer.lookahead();
      // After the look-ahead, the parameters are the point at which the gradient is asked for.
      gradients(t, await read(device, params)).forEach((values, index) => {
        write(device, grads[index]!, values);
      });
      optimizer.step();
      if (expected.has(t)) results.set(t, await read(device, params));
    }
  } else {
    const { after } = await record(device, optimizer, {
      steps,
      grads,
      gradients: (t) => gradients(t, []),
      watch: params,
      before: rate,
    });
    after.forEach((values, index) => {
      if (expected.has(index + 1)) results.set(index + 1, values);
    });
  }
  optimizer.destroy();
  for (const { buffer } of [...params, ...grads]) buffer.destroy();
  return results;
}

/** Where a run is off by more than the tolerance of 1 + the largest |θ| of the element along the run. */
function errors(
  { initial, expected }: Trajectory,
  results: ReadonlyMap<number, readonly Float32Array[]>,
): string[] {
  return Object.entries(initial).flatMap(([name, start], tensor) => {
    const along = [start, ...[...expected.values()].map((values) => values[name]!)];
    return [...expected].flatMap(([t, values]) =>
      [...values[name]!].flatMap((value, i) => {
        const largest = along.reduce((most, point) => Math.max(most, Math.abs(point[i]!)), 0);
        const got = results.get(t)?.[tensor]?.[i];
        if (got !== undefined && Math.abs(got - value) <= TOLERANCE * (1 + largest)) return [];
        return [`${name}[${i}] after step ${t}: ${got}, expected ${value}`];
      }),
    );
  });
}

describe("the kernels follow", () => {
  test.each(trajectories.map((trajectory) => [trajectory.id, trajectory] as const))(
    "%s",
    async (_, trajectory) => {
      const results = await run(trajectory);
      expect(results.size).toBeGreaterThan(0);
      expect(errors(trajectory, results).slice(0, 5)).toEqual([]);
    },
  );
});
