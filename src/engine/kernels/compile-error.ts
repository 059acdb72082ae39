import { OptimError } from "../../errors.js";
import { lossError, lossSettles } from "../device.js";

/** Why a kernel does not compile: `invalid-shader` with line and column of each message, or `device-lost`. */
export async function compileError(
  device: GPUDevice,
  label: string,
  file: string,
  module: GPUShaderModule,
  cause: { readonly reason?: string; readonly message?: string } | undefined,
): Promise<OptimError> {
  const messages = await module
    .getCompilationInfo()
    .then(({ messages }) => messages.map((m) => `${file}:${m.lineNum}:${m.linePos}: ${m.type}: ${m.message}`))
    .catch(() => []);
  // A device that is lost meanwhile rejects before it says so, and has no message about the shader.
  if (cause?.reason === "internal" && messages.length === 0 && (await lossSettles(device)))
    return lossError(device, label);
  return new OptimError(
    "invalid-shader",
    `The kernel of '${label}' does not compile`,
    { got: messages.join("; ") || (cause?.message ?? "no message"), fix: "correct the WGSL" },
    { cause },
  );
}
