import { briefly, checkKeys, OptimError } from "../errors.js";

/** Where a checkpoint comes from: bytes, a file of the page, a fetched body. */
export type CheckpointSource = Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** Options of `load`. */
export interface LoadOptions {
  /** Whether the parameters are overwritten by those of the checkpoint; default true. */
  readonly parameters?: boolean;
  /** Whose hyperparameters go on where they differ: the checkpoint's or the optimizer's. Left out, that is an error. */
  readonly hyperparameters?: "file" | "keep";
  /**
   * Whose schedules go on where they differ, of the rate and of options. Left out, that is an error; where the optimizer has
   * none, it takes the checkpoint's.
   */
  readonly schedules?: "file" | "keep";
  /** What happens to tensors that the checkpoint has not: an error (the default), or they begin as new ones do. */
  readonly missing?: "error" | "fresh";
  /** What happens to tensors that the optimizer has not: an error (the default), or they are left in the file. */
  readonly extra?: "error" | "ignore";
}

/** Where what is in force came from: the checkpoint, or the optimizer, which had it already. */
export type LoadedFrom = "file" | "optimizer";

/** What `load` took of a checkpoint. */
export interface LoadResult {
  /** The caller's. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Of each group of the optimizer. */
  readonly groups: readonly LoadedGroup[];
  /** Names of tensors that the checkpoint had not, and that begin as new ones do. */
  readonly missing: readonly string[];
  /** Names of tensors that only the checkpoint had. */
  readonly extra: readonly string[];
}

/** What a group goes on with. */
export interface LoadedGroup {
  readonly hyperparameters: LoadedFrom;
  readonly schedule: LoadedFrom;
  /** By option. */
  readonly optionSchedules: Readonly<Record<string, LoadedFrom>>;
}

const CHOICES = {
  hyperparameters: ["file", "keep"],
  schedules: ["file", "keep"],
  missing: ["error", "fresh"],
  extra: ["error", "ignore"],
} as const;

/** @throws OptimError `invalid-argument` */
export function checkLoadOptions(options: LoadOptions): LoadOptions {
  checkKeys("invalid-argument", "load", options, ["parameters", ...Object.keys(CHOICES)]);
  const refuse = (name: string, expected: string, got: unknown): never => {
    throw new OptimError("invalid-argument", `Option '${name}' of load is wrong`, {
      expected,
      got: briefly(got),
      fix: "correct it, or leave it out",
    });
  };
  const { parameters = true } = options;
  if (typeof parameters !== "boolean") refuse("parameters", "true or false", parameters);
  for (const [name, values] of Object.entries(CHOICES)) {
    const value = options[name as keyof typeof CHOICES];
    if (value !== undefined && !(values as readonly string[]).includes(value))
      refuse(name, values.map((value) => `'${value}'`).join(" or "), value);
  }
  return options;
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
