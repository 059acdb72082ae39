import controlShader from "../../shaders/engine/control.wgsl?engine";

/** Layouts of what guards hold on the GPU and what is read back. */
export const CONTROL = controlShader.structs.Control!;
export const RECORD = controlShader.structs.Record!;
/** Records that the GPU keeps; older ones are overwritten. */
export const HISTORY = 64;
/** Bytes of `Values`, and where what is settled lies in it. */
export const VALUES = 48;
export const SETTLED = 32;
