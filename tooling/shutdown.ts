import { constants } from "node:os";

const stops = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
let listening = false;

/**
 * Runs `cleanup` when the process ends, by itself or by Ctrl-C, TERM or HUP.
 * @param cleanup synchronous: nothing asynchronous runs at exit.
 * @returns takes the clean-up back, when its work is done.
 */
export function onShutdown(cleanup: () => void): () => void {
  if (!listening) {
    listening = true;
    for (const signal of stops) process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
  process.on("exit", cleanup);
  return () => process.off("exit", cleanup);
}
