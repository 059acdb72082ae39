// Examples of the documentation, run as they are printed.
import { expect, test } from "vitest";
import rules from "../../docs/rules.md?raw";
import readme from "../../README.md?raw";
import type { Arena, Optimizer } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { watchedDevice } from "../support/device.js";

/** Runs the first example of a page as a module, with `given` in the place of what it declares. */
async function runExample(
  page: string,
  exported: readonly string[],
  given: Readonly<Record<string, unknown>> = {},
): Promise<Record<string, unknown>> {
  const code = /```ts\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  expect(code).toContain('from "webgpu-optim"');
  const urlOf = (path: string) => JSON.stringify(new URL(path, location.href).href);
  const plain = code
    .replace('"webgpu-optim"', urlOf("/src/index.ts"))
    .replace('"webgpu-optim/define-rule"', urlOf("/src/define-rule.ts"))
    .replace('"webgpu-optim/conformance"', urlOf("/src/conformance/index.ts"))
    .replace(/, type \w+/g, "")
    .replace(/^declare .*\n/gm, "");
  const names = Object.keys(given).join(", ");
  Object.assign(globalThis, { example: given });
  const module = `const { ${names} } = globalThis.example;\n${plain}\nexport { ${exported.join(", ")} };`;
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  return await import(/* @vite-ignore */ url);
}

test("the README's example fits its targets", async () => {
  const { arena, device } = (await runExample(readme, ["arena", "device"])) as {
    arena: Arena;
    device: GPUDevice;
  };
  const [weight, bias] = await read(device, [arena.get("weight").param, arena.get("bias").param]);
  // The decay of 0.01 and the sign-like steps of Adam, annealed by the cosine, leave less than this.
  weight!.forEach((value, i) => {
    expect(Math.abs(value - Math.sin(i)), `weight ${i}`).toBeLessThan(0.02);
  });
  // The bias starts at element 1024 of the buffer and does not decay.
  bias!.forEach((value, i) => {
    expect(Math.abs(value - Math.sin(1024 + i)), `bias ${i}`).toBeLessThan(0.02);
  });
  arena.destroy();
  device.destroy();
});

test("the rule of docs/rules.md is Signum", async () => {
  const { device } = await watchedDevice();
  const param = upload(device, [1, 2, 3]);
  const grad = upload(device, [0, 0, 0]);
  const { optimizer, passed, failed } = (await runExample(rules, ["optimizer", "passed", "failed"], {
    device,
    parameters: [{ name: "x", param, grad }],
  })) as { optimizer: Optimizer; passed: number; failed: number };
  expect(failed).toBe(0);
  expect(passed).toBeGreaterThan(5);
  for (const values of [
    [0.1, -0.1, 0],
    [-0.001, -0.2, 0],
  ]) {
    write(device, grad, values);
    optimizer.step();
  }
  // The average keeps its sign against a small gradient of the other.
  const [x] = await read(device, [param]);
  [1 - 2e-3, 2 + 2e-3, 3].forEach((value, i) => {
    expect(x![i]).toBeCloseTo(value, 6);
  });
  optimizer.destroy();
  for (const { buffer } of [param, grad]) buffer.destroy();
  device.destroy();
});
