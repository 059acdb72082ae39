// Rules that take the gradient at another point: the order of calls, and the way back.
import { describe, expect, test } from "vitest";
import {
  adam,
  createOptimizer,
  nesterovLookahead,
  type Optimizer,
  rmspropNesterov,
} from "../../src/index.js";
import { read, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { gradients } from "../support/numbers.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

const parametersOf = async (tensors: readonly TestTensor[]) =>
  await read(
    watched().device,
    tensors.map(({ param }) => param),
  );

function setGradients(tensors: readonly TestTensor[], step: number): void {
  tensors.forEach(({ grad }, index) => {
    write(watched().device, grad, gradients(index + 1, step, grad.size / 4));
  });
}

/** An optimizer over a head, a body and a tail, and over a whole number of vec4, with some steps done. */
async function begin(rule = nesterovLookahead({ lr: 0.1, momentum: 0.5 }), accumulation = false) {
  const { device } = watched();
  const tensors = [tensor(device, "x", 23, { offset: 12 }), tensor(device, "y", 16)];
  const optimizer = await createOptimizer(device, { rule, accumulation, parameters: tensors });
  const run = (step: number) => {
    optimizer.lookahead();
    setGradients(tensors, step);
    optimizer.step();
  };
  for (const step of [1, 2]) run(step);
  return {
    tensors,
    optimizer,
    run,
    end() {
      optimizer.destroy();
      destroyTensors(tensors);
    },
  };
}

describe.each([
  { rule: nesterovLookahead({ lr: 0.1, momentum: 0.5 }) },
  { rule: rmspropNesterov({ lr: 0.1, momentum: 0.5 }) },
])("$rule.row.name", ({ rule }) => {
  test("parameters stand at θ − μb between look-ahead and step; the step starts from θ", async () => {
    const { tensors, optimizer, end } = await begin(rule);
    const { device } = watched();
    const [before, velocity] = [
      await parametersOf(tensors),
      await read(
        device,
        tensors.map(({ name }) => optimizer.state(name, "momentum_buffer")),
      ),
    ];
    optimizer.lookahead();
    const ahead = await parametersOf(tensors);
    ahead.forEach((values, index) => {
      values.forEach((value, i) => {
        const wanted = before[index]![i]! - 0.5 * velocity[index]![i]!;
        // One subtraction, fused or not.
        expect(Math.abs(value - wanted)).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(wanted)));
      });
    });
    expect(ahead).not.toEqual(before);
    setGradients(tensors, 3);
    optimizer.step();
    const [after, moved] = [
      await parametersOf(tensors),
      await read(
        device,
        tensors.map(({ name }) => optimizer.state(name, "momentum_buffer")),
      ),
    ];
    after.forEach((values, index) => {
      values.forEach((value, i) => {
        const wanted = before[index]![i]! - moved[index]![i]!;
        expect(Math.abs(value - wanted)).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(wanted)));
      });
    });
    end();
  });

  test("restore gives the bits back, and the next step is that of a run that never skipped", async () => {
    const straight = await begin(rule);
    straight.run(3);
    straight.run(4);
    const wanted = bits(await parametersOf(straight.tensors));
    straight.end();

    const skipping = await begin(rule);
    const before = bits(await parametersOf(skipping.tensors));
    skipping.optimizer.lookahead();
    expect(bits(await parametersOf(skipping.tensors))).not.toEqual(before);
    skipping.optimizer.restore();
    expect(bits(await parametersOf(skipping.tensors))).toEqual(before);
    expect(skipping.optimizer.groups[0]!.steps).toBe(2);
    skipping.run(3);
    skipping.optimizer.lookahead();
    skipping.optimizer.restore();
    skipping.optimizer.restore();
    skipping.run(4);
    expect(bits(await parametersOf(skipping.tensors))).toEqual(wanted);
    skipping.end();
  });
});

describe("order", () => {
  const misuse = async (wrong: (optimizer: Optimizer) => unknown, ahead: boolean) => {
    const { tensors, optimizer, run, end } = await begin();
    if (ahead) optimizer.lookahead();
    const before = bits(await parametersOf(tensors));
    const error = await expectError(() => wrong(optimizer), "lookahead-order", "nesterov-lookahead");
    expect(optimizer.groups[0]!.steps).toBe(2);
    expect(bits(await parametersOf(tensors))).toEqual(before);
    // What was refused left the optimizer ready for what was right.
    if (ahead) optimizer.step();
    else run(3);
    expect(optimizer.groups[0]!.steps).toBe(3);
    end();
    return error;
  };

  test("a step without a look-ahead is refused", async () => {
    await misuse((optimizer) => optimizer.step(), false);
    const { device } = watched();
    await misuse((optimizer) => optimizer.encode(device.createCommandEncoder()), false);
  });

  test("a second look-ahead is refused", async () => {
    await misuse((optimizer) => optimizer.lookahead(), true);
    const { device } = watched();
    await misuse((optimizer) => optimizer.lookahead(device.createCommandEncoder()), true);
  });

  test("a step after restore needs a look-ahead again", async () => {
    const { optimizer, end } = await begin();
    optimizer.lookahead();
    optimizer.restore();
    await expectError(() => optimizer.step(), "lookahead-order");
    end();
  });

  test("look-ahead, gradient and step may be in one encoder", async () => {
    const separate = await begin();
    separate.run(3);
    const wanted = bits(await parametersOf(separate.tensors));
    separate.end();

    const { device } = watched();
    const { tensors, optimizer, end } = await begin();
    setGradients(tensors, 3);
    const encoder = device.createCommandEncoder();
    optimizer.lookahead(encoder);
    optimizer.encode(encoder);
    device.queue.submit([encoder.finish()]);
    optimizer.submitted();
    expect(bits(await parametersOf(tensors))).toEqual(wanted);
    end();
  });
});

test("restore gives up what was accumulated for the step", async () => {
  const plain = await begin(undefined, true);
  plain.run(3);
  const wanted = bits(await parametersOf(plain.tensors));
  plain.end();

  const { tensors, optimizer, run, end } = await begin(undefined, true);
  optimizer.lookahead();
  setGradients(tensors, 7);
  optimizer.accumulate({ samples: 5 });
  optimizer.restore();
  run(3);
  expect(bits(await parametersOf(tensors))).toEqual(wanted);
  end();
});

test("a group without look-ahead stays in place beside one with it", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "ahead", 12), tensor(device, "still", 12)];
  const optimizer = await createOptimizer(device, {
    groups: [
      { rule: nesterovLookahead({ lr: 0.1 }), parameters: [tensors[0]!] },
      { rule: adam({ lr: 0.1 }), parameters: [tensors[1]!] },
    ],
  });
  const alone = [tensor(device, "still", 12)];
  const single = await createOptimizer(device, { rule: adam({ lr: 0.1 }), parameters: alone });
  await expectError(() => optimizer.step(), "lookahead-order");
  for (const step of [1, 2]) {
    const before = await parametersOf(tensors);
    optimizer.lookahead();
    const ahead = await parametersOf(tensors);
    expect(bits([ahead[1]!])).toEqual(bits([before[1]!]));
    // The first velocity is zero.
    if (step === 2) expect(ahead[0]).not.toEqual(before[0]);
    if (step === 2) {
      optimizer.restore();
      expect(bits(await parametersOf(tensors))).toEqual(bits(before));
      optimizer.lookahead();
    }
    optimizer.step();
    single.step();
  }
  expect(bits(await parametersOf([tensors[1]!]))).toEqual(bits(await parametersOf(alone)));
  optimizer.destroy();
  single.destroy();
  destroyTensors([...tensors, ...alone]);
});

test("without a look-ahead rule, look-ahead and restore do nothing", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 12)];
  const optimizer = await createOptimizer(device, { rule: adam({ lr: 0.1 }), parameters: tensors });
  const before = bits(await parametersOf(tensors));
  optimizer.lookahead();
  optimizer.lookahead();
  optimizer.restore();
  expect(bits(await parametersOf(tensors))).toEqual(before);
  optimizer.step();
  expect(bits(await parametersOf(tensors))).not.toEqual(before);
  optimizer.destroy();
  destroyTensors(tensors);
});
