import { join } from "node:path";
import { defineConfig } from "vite";
import { mnist } from "../tooling/mnist-plugin.ts";
import { text } from "../tooling/text-plugin.ts";
import { wgsl } from "../tooling/wgsl-plugin.ts";

const page = (name: string) => join(import.meta.dirname, name, "index.html");

/** Serves the pages: `npm run demo`, and the jobs `train` and `conformance`. Built, they can be put on any host. */
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [wgsl(), mnist(), text()],
  clearScreen: false,
  // Named here, so that they are not found while a page loads, which would load the page again.
  optimizeDeps: {
    include: [
      "@jax-js/jax",
      "@tensorflow/tfjs-core",
      "@tensorflow/tfjs-backend-cpu",
      "@tensorflow/tfjs-backend-webgpu",
    ],
  },
  server: { host: "127.0.0.1", fs: { allow: [join(import.meta.dirname, "..")] } },
  build: {
    target: "es2022",
    rolldownOptions: { input: [page(""), page("train"), page("conformance")] },
  },
});
