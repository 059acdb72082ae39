// device.destroy() by the caller.
import { describe, expect, test } from "vitest";
import { adam } from "../../src/index.js";
import { watchedDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { Loop } from "../support/loop.js";
import { describeLoss } from "../support/loss.js";

describeLoss(async (device) => {
  device.destroy();
  await device.lost;
}, "destroyed");

// Whether a crash comes at just this moment is a matter of luck, so it is played: as Chrome does it, the promises of the
// scopes are rejected first.
describe("a crash that rejects the error scopes before the loss is told", () => {
  const ways: readonly [name: string, run: (loop: Loop) => Promise<unknown>][] = [
    ["creation", ({ device }) => Loop.make(device, { rule: adam() })],
    ["freeze", ({ optimizer }) => optimizer.freeze("x1")],
    ["save", ({ optimizer }) => optimizer.save()],
  ];
  test.each(ways)("is a lost device, and leaves nothing alive: %s", async (_name, run) => {
    const { device, live } = await watchedDevice();
    const loop = await Loop.make(device, { rule: adam() });
    loop.run(2);
    const before = live.size;
    Object.defineProperty(device, "popErrorScope", {
      value: () => {
        setTimeout(() => device.destroy(), 5);
        return Promise.reject(
          new DOMException("A valid external Instance reference no longer exists.", "OperationError"),
        );
      },
    });
    await expectError(() => run(loop), "device-lost", "reason 'destroyed'");
    expect(live.size).toBe(before);
    loop.destroy();
    expect(live.size).toBe(0);
  });
});
