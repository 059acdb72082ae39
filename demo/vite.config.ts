import { join } from "node:path";
import { defineConfig } from "vite";
import { mnist } from "../tooling/mnist-plugin.ts";
import { wgsl } from "../tooling/wgsl-plugin.ts";

/** Serves the page that trains on MNIST: `npm run demo`, and the job `train`. */
export default defineConfig({
  root: join(import.meta.dirname, "train"),
  plugins: [wgsl(), mnist()],
  clearScreen: false,
  // Named here, so that it is not found while the page loads, which would load the page again.
  optimizeDeps: { include: ["@jax-js/jax"] },
  server: { host: "127.0.0.1", fs: { allow: [join(import.meta.dirname, "..")] } },
});
