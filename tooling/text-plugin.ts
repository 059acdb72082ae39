import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";
import { root } from "./root.ts";

const folder = join(root, "node_modules/@types/node");

/**
 * English to learn: the documentation of Node.js, as the comments of `@types/node` have it, without code and markup, in
 * printable ASCII and line feeds.
 */
export function documentation(): string {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".d.ts"))
    .sort();
  const comments = files.flatMap((name) => [
    ...readFileSync(join(folder, name), "utf8").matchAll(/\/\*\*([\s\S]*?)\*\//g),
  ]);
  return comments
    .flatMap(([, comment = ""]) => plain(comment))
    .filter((paragraph) => /^[A-Z].{60,}[.:]$/.test(paragraph))
    .join("\n");
}

/** The paragraphs of a comment, each in one line. */
function plain(comment: string): string[] {
  return comment
    .replace(/^[ \t]*\*[ ]?/gm, "")
    .replace(/```[\s\S]*?```/g, "")
    .replace(/^@[\s\S]*/m, "")
    .replace(/\{@link(?:code)? ([^}]*)\}/g, "$1")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .split(/\n\s*\n/)
    .map((paragraph) =>
      paragraph
        .replace(/[`*]/g, "")
        .replace(/[^\x20-\x7e]+/g, " ")
        .replace(/ +/g, " ")
        .trim(),
    );
}

/** Serves it as /text/documentation.txt. */
export function text(): Plugin {
  return {
    name: "webgpu-optim:text",
    configureServer(server) {
      server.middlewares.use("/text/documentation.txt", (_, response) => {
        const bytes = Buffer.from(documentation());
        response.setHeader("Content-Type", "text/plain; charset=us-ascii");
        response.setHeader("Content-Length", bytes.length);
        response.end(bytes);
      });
    },
  };
}
