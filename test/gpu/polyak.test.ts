// Polyak SGD: the loss that each step is handed.
import { expect, test } from "vitest";
import { createOptimizer, polyakSgd, type Rule, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { difference, useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";

const watched = useDevice();

async function made(rule: Rule = polyakSgd({ maxRate: 10 }), options: object = {}) {
  const { device } = watched();
  const [param, grad, loss] = [upload(device, [3, 4]), upload(device, [3, 4]), upload(device, [7, 12.5])];
  const optimizer = await createOptimizer(device, {
    rule,
    parameters: [{ name: "x", param, grad }],
    ...options,
  });
  const end = () => {
    optimizer.destroy();
    for (const { buffer } of [param, grad, loss]) buffer.destroy();
  };
  const values = async () => [...(await read(device, [param]))[0]!];
  return { device, optimizer, param, grad, loss, end, values };
}

test("halves the way to the minimum of ½‖θ‖², by the loss in a part of a buffer", async () => {
  const { optimizer, loss, end, values } = await made();
  optimizer.step({ loss: { buffer: loss.buffer, offset: 4 } });
  const after = await values();
  expect(after[0]).toBeCloseTo(1.5, 6);
  expect(after[1]).toBeCloseTo(2, 6);
  end();
});

test("a loss belongs to the step that it is encoded with, and makes no object", async () => {
  const { device, optimizer, loss, end, values } = await made();
  const { counts } = watched();
  optimizer.step({ loss });
  const before = { ...counts };
  const encoder = device.createCommandEncoder();
  optimizer.encode(encoder, { loss: { buffer: loss.buffer, offset: 4, size: 4 } });
  optimizer.encode(encoder, { loss: { buffer: loss.buffer, offset: 0, size: 4 } });
  const { buffers, bindGroups } = difference(counts, before);
  expect([buffers, bindGroups]).toEqual([0, 0]);
  device.queue.submit([encoder.finish()]);
  optimizer.submitted();
  const [x] = await values();
  expect(x).toBeCloseTo(3 * (1 - (7 + 12.5 + 7) / 25), 5);
  end();
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])("a loss of %d takes no step", async (value) => {
  const { device, optimizer, loss, end, values } = await made();
  write(device, loss, [value]);
  optimizer.step({ loss });
  expect(await values()).toEqual([3, 4]);
  end();
});

test("a missing loss and one that cannot be read are refused, and nothing is changed; other rules pass it over", async () => {
  const { device, optimizer, loss, param, grad, end, values } = await made();
  const encoder = device.createCommandEncoder();
  await expectError(() => optimizer.step(), "invalid-argument", "steps by the loss, too");
  await expectError(() => optimizer.encode(encoder), "invalid-argument", "steps by the loss, too");
  const bound = device.createBuffer({ size: 8, usage: GPUBufferUsage.STORAGE });
  const wrong = (given: unknown, part: string) =>
    expectError(() => optimizer.step({ loss: given as never }), "invalid-buffer", part);
  await wrong(bound, "COPY_SRC");
  await wrong(3, "is not a GPUBuffer");
  await wrong({ buffer: loss.buffer, offset: 8 }, "4 bytes");
  await wrong({ buffer: loss.buffer, offset: 2 }, "wrong offset");
  expect(optimizer.groups[0]!.steps).toBe(0);
  expect(await values()).toEqual([3, 4]);
  for (const options of [{ rule: sgd({ lr: 0 }) }, { rule: sgd({ lr: 0 }), guards: {} }]) {
    const other = await createOptimizer(device, {
      parameters: [{ name: "x", param, grad }],
      ...options,
    });
    other.step({ loss });
    other.destroy();
  }
  bound.destroy();
  end();
});
