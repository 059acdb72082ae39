/** `GPUBufferUsage` and `GPUMapMode`, whose values the specification fixes: outside browsers the globals may be missing. */
export const USAGE = {
  MAP_READ: 0x1,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  QUERY_RESOLVE: 0x200,
} as const;

/** `GPUMapMode.READ`. */
export const READ = 1;
