import { requestDevice } from "../src/index.js";
import { measureStreams, type StreamRow } from "./streams.js";

declare global {
  interface Window {
    measureStreams(): Promise<StreamRow[]>;
  }
}

window.measureStreams = async () => {
  const device = await requestDevice();
  try {
    return await measureStreams(device);
  } finally {
    device.destroy();
  }
};
