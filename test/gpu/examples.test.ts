// Each example that is a page, run as it stands.
import { expect, test } from "vitest";

test("plain WebGPU: own kernels and the step share an encoder", async () => {
  const { weights } = await import("../../examples/plain/main.js");
  weights.forEach((value, i) => {
    expect(Math.abs(value - i), `weight ${i}`).toBeLessThan(0.1);
  });
});

test("TypeGPU: typed buffers are stepped in place", async () => {
  const { result } = await import("../../examples/typegpu/main.js");
  expect(result).toHaveLength(100);
  result.forEach((value, i) => {
    expect(Math.abs(value - Math.sin(i)), `x ${i}`).toBeLessThan(0.01);
  });
});

// It compiles 26 MB of WebAssembly.
test("onnxruntime-web: gradients are stepped in its own buffers", { timeout: 180_000 }, async () => {
  const { losses } = await import("../../examples/onnxruntime/main.js");
  expect(losses[0]).toBeGreaterThan(10);
  expect(losses.at(-1)).toBeLessThan(0.1);
});
