import * as controlShader from "../../shaders/engine/control.wgsl?engine";

/** Layouts of what guards hold on the GPU and what is read back. */
export const CONTROL = controlShader.structs.Control!;
export const RECORD = controlShader.structs.Record!;
export const FOUND = controlShader.structs.Found!;
/** Records that the GPU keeps; older ones are overwritten. */
export const HISTORY = controlShader.constants.HISTORY!;
/** Where what is settled lies in `Values`, and bytes of these. */
export const SETTLED = controlShader.constants.SETTLED!;
export const VALUES = SETTLED + 16;
