/**
 * A buffer as TypeGPU has it: a `TgpuBuffer` of f32 numbers, vectors or matrices with usage `storage`, or a binding of
 * one. What `root.unwrap` gives is used, so its root must be one of the optimizer's device.
 */
export interface TypedBuffer {
  readonly resourceType: string;
  readonly buffer: GPUBuffer | TypedBuffer;
}

/** Refuses a buffer. */
export type Fail = (problem: string, expected: string, got: string, fix: string) => never;

/** A schema of TypeGPU's, as far as it tells of what numbers there are. */
interface Schema {
  readonly type?: string;
  readonly elementType?: Schema;
  readonly inner?: Schema;
  readonly propTypes?: Readonly<Record<string, Schema>>;
}

/** A type of a schema's numbers that is not f32. */
const numbersOf = ({ type, elementType, inner, propTypes }: Schema): string | undefined => {
  const within = elementType ?? inner;
  if (within) return numbersOf(within);
  if (propTypes) return Object.values(propTypes).map(numbersOf).find(Boolean);
  return /^(f32|(vec|mat).*f)$/.test(type!) ? undefined : type;
};

/** What a typed buffer holds; one that does not fit is not made by looking. */
export function untyped(given: GPUBuffer | TypedBuffer, fail: Fail): GPUBuffer {
  let typed = given as Partial<TypedBuffer> & {
    readonly usableAsStorage?: boolean;
    readonly dataType?: Schema;
    readonly destroyed?: boolean;
  };
  while (typed?.resourceType) {
    const { usableAsStorage, dataType, destroyed } = typed;
    const wrong =
      (dataType && numbersOf(dataType)) ??
      (destroyed ? "a destroyed one" : usableAsStorage === false ? "no such usage" : undefined);
    if (wrong) fail("cannot be used", 'a typed buffer of f32 with .$usage("storage")', wrong, "pass one");
    typed = typed.buffer as typeof typed;
  }
  return typed as GPUBuffer;
}
