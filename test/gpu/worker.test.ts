// The engine in a module worker: the same bits as in the page.
import { expect, test } from "vitest";
import { useDevice } from "../support/device.js";
import { bits } from "../support/tensors.js";
import { STEPS, trainLoop, type WorkerAnswer } from "./worker-loop.js";

const watched = useDevice();

function answerOf(canvas: OffscreenCanvas | undefined): Promise<WorkerAnswer> {
  const worker = new Worker(new URL("./worker-loop.ts", import.meta.url), { type: "module" });
  return new Promise<WorkerAnswer>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message || "The worker could not be loaded."));
    worker.postMessage(canvas ?? null, canvas ? [canvas] : []);
  }).finally(() => worker.terminate());
}

const onPage = () => {
  const canvas = document.createElement("canvas");
  document.body.append(canvas);
  return canvas.transferControlToOffscreen();
};

test.each([
  { name: "without a canvas", canvas: () => undefined, pixel: [] },
  { name: "with an OffscreenCanvas", canvas: () => new OffscreenCanvas(8, 8), pixel: [255, 0, 255, 255] },
  { name: "with the canvas of the page", canvas: onPage, pixel: [255, 0, 255, 255] },
])("a whole training loop in a worker, $name", async ({ canvas, pixel }) => {
  const expected = await trainLoop(watched().device);
  const got = await answerOf(canvas());
  expect(got.error).toBeUndefined();
  expect(got.pixel).toEqual(pixel);
  expect(got.attempts).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
  expect(bits([...got.snapshot!])).toEqual(bits([...expected.snapshot!]));
  // The comparison would also hold if nothing had moved.
  expect(new Set(got.snapshot![0]).size).toBeGreaterThan(10);
});
