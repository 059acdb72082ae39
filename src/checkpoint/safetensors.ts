// The safetensors file format: https://github.com/huggingface/safetensors#format
export type { Dtype } from "./format.js";
export {
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsFile,
  type SafetensorsHeader,
  safetensorsDataStart,
  type TensorEntry,
  type TensorRange,
} from "./read.js";
export {
  type SafetensorsLayout,
  type TensorData,
  type TensorDescription,
  writeSafetensors,
  writeSafetensorsHeader,
} from "./write.js";
