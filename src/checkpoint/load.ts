import { briefly, OptimError } from "../errors.js";

/** Where a checkpoint comes from: bytes, a file of the page, a fetched body. */
export type CheckpointSource = Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** Options of `load`. */
export interface LoadOptions {
  /** Whether the parameters are overwritten by those of the checkpoint; default true. */
  readonly parameters?: boolean;
}

/** Whether the parameters are to be loaded. @throws OptimError `invalid-argument` */
export function checkLoadOptions(options: LoadOptions): boolean {
  const unknown = Object.keys(options ?? {}).find((name) => name !== "parameters");
  const { parameters = true } = options ?? {};
  if (typeof options === "object" && options && unknown === undefined && typeof parameters === "boolean")
    return parameters;
  throw new OptimError("invalid-argument", "The options of load are wrong", {
    expected: "{ parameters: true or false }, or nothing",
    got: unknown === undefined ? briefly(parameters) : `'${unknown}'`,
    fix: "correct them, or leave them out",
  });
}

/** All bytes of a source. @throws OptimError `invalid-argument`, or `invalid-checkpoint` where it cannot be read */
export async function readSource(source: CheckpointSource): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  const isBlob = typeof Blob !== "undefined" && source instanceof Blob;
  if (!isBlob && !(source instanceof ReadableStream))
    throw new OptimError("invalid-argument", "There is no checkpoint to load", {
      expected: "a Uint8Array, ArrayBuffer, Blob or ReadableStream of bytes",
      got: briefly(source),
      fix: "pass what save() gave",
    });
  try {
    return new Uint8Array(await new Response(source as BodyInit).arrayBuffer());
  } catch (cause) {
    throw new OptimError(
      "invalid-checkpoint",
      "The checkpoint cannot be read",
      { got: String(cause), fix: "pass a source that is there and is not being read already" },
      { cause },
    );
  }
}
