// What of a value its f32 cannot hold is kept beside it, so that small changes add up.
import * as compensateShader from "../../shaders/engine/compensate.wgsl?engine";

/** What kernels that keep it are written with, behind `overLanes`. */
export const code = compensateShader.code;

/** Of a lane of a step: its residual, the new parameter, and where the new residual goes. */
export const load = "\n  var engine_residual = engine_widen(engine_compensation[engine_i]);";
export const next = "engine_added(engine_parameter, -engine_change, &engine_residual)";
export const store = "\n  engine_compensation[engine_i] = engine_narrow(engine_residual);";
