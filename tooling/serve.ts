import { createServer, type InlineConfig } from "vite";

/** A page's address and how to stop serving it. */
export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves pages on a free port of this machine, as the configuration says. */
export async function serve(config: InlineConfig): Promise<PageServer> {
  const server = await createServer({
    ...config,
    logLevel: "error",
    // Nothing is edited while a job runs: no watching, no reloading.
    server: { ...config.server, host: "127.0.0.1", port: 0, watch: null, hmr: false },
  });
  await server.listen();
  const address = server.httpServer?.address();
  if (!address || typeof address === "string") throw new Error("The server of the page has no port.");
  return { url: `http://127.0.0.1:${address.port}/`, close: () => server.close() };
}
