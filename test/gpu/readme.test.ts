// The README's first example, run as it is printed.
import { expect, test } from "vitest";
import readme from "../../README.md?raw";
import type { Arena } from "../../src/index.js";
import { read } from "../support/buffers.js";

test("the README's example fits its targets", async () => {
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  expect(code).toContain('from "webgpu-optim"');
  const library = new URL("/src/index.ts", location.href).href;
  const module = `${code.replace('"webgpu-optim"', JSON.stringify(library))}\nexport { arena, device };`;
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  const { arena, device } = (await import(/* @vite-ignore */ url)) as { arena: Arena; device: GPUDevice };
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
