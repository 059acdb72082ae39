/** The version of this library, which checkpoints note. */
export const VERSION = "0.1.0";
