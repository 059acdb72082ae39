// The example of jax-js, run as it is printed.
import { expect, test } from "vitest";
import { useJax } from "../support/jax.js";

useJax();

test("examples/jax fits its sine", async () => {
  const { first, last } = await import("../../examples/jax/main.js");
  expect(last).toBeLessThan(first! / 10);
});
