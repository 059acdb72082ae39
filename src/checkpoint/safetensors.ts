// The safetensors file format: https://github.com/huggingface/safetensors#format
export type { Dtype } from "./format.js";
export {
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsFile,
  safetensorsDataStart,
} from "./read.js";
export {
  type TensorData,
  type TensorDescription,
  writeSafetensors,
  writeSafetensorsHeader,
} from "./write.js";
