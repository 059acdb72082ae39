import { join } from "node:path";
import { createServer } from "vite";
import { root } from "./root.ts";

/** The demo's address and how to stop serving it. */
export interface DemoServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves demo/train on a free port of this machine. */
export async function serveDemo(): Promise<DemoServer> {
  const server = await createServer({
    configFile: join(root, "demo/vite.config.ts"),
    logLevel: "error",
    // Nothing is edited while a job runs: no watching, no reloading.
    server: { port: 0, watch: null, hmr: false },
  });
  await server.listen();
  const address = server.httpServer?.address();
  if (!address || typeof address === "string") throw new Error("The server of the demo has no port.");
  return { url: `http://127.0.0.1:${address.port}/`, close: () => server.close() };
}
