// Gradients leave an onnxruntime-web graph as GPU tensors and are stepped where they are: nothing goes through the CPU.
import * as ort from "onnxruntime-web/webgpu";
import { adam, createOptimizer, requestDevice } from "webgpu-optim";
import { regression } from "./model.js";

const ROWS = 64;
const FEATURES = 8;
const STEPS = 100;

const device = await requestDevice();
const session = await ort.InferenceSession.create(regression(ROWS, FEATURES), {
  executionProviders: [{ name: "webgpu", device }], // both compute on one device,
  preferredOutputLocation: { d_weight: "gpu-buffer", d_bias: "gpu-buffer", loss: "cpu" },
});

// Parameters are buffers of ours that the graph reads as inputs. Whole multiples of 16 bytes: onnxruntime reads so many.
const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
const shapes = { weight: [FEATURES, 1], bias: [1] };
const parameters = Object.entries(shapes).map(([name, shape]) => {
  const size = Math.ceil(shape.reduce((product, extent) => product * extent) / 4) * 16;
  const [param, grad] = [name, `d_${name}`].map((label) => device.createBuffer({ label, size, usage }));
  return { name, shape, param: param!, grad: grad! };
});
const optimizer = await createOptimizer(device, { rule: adam({ lr: 0.3 }), parameters });

// y = x·truth + 3
const truth = Array.from({ length: FEATURES }, (_, i) => i - 3);
const xs = Float32Array.from({ length: ROWS * FEATURES }, (_, i) => Math.sin(i * i));
const ys = Float32Array.from({ length: ROWS }, (_, row) =>
  truth.reduce((sum, weight, i) => sum + weight * xs[row * FEATURES + i]!, 3),
);
const feeds: Record<string, ort.Tensor> = {
  x: new ort.Tensor(xs, [ROWS, FEATURES]),
  y: new ort.Tensor(ys, [ROWS, 1]),
};
for (const { name, shape, param } of parameters)
  feeds[name] = ort.Tensor.fromGpuBuffer(param, { dataType: "float32", dims: shape });

/** Loss of each step. */
export const losses: number[] = [];
for (let step = 0; step < STEPS; step += 1) {
  const { loss, d_weight, d_bias } = await session.run(feeds);
  // New tensors each time, in buffers that onnxruntime uses in turn.
  optimizer.setGradients({ weight: d_weight!.gpuBuffer, bias: d_bias!.gpuBuffer });
  optimizer.step();
  d_weight!.dispose(); // once the step is submitted
  d_bias!.dispose();
  losses.push((loss!.data as Float32Array)[0]!);
}
console.log(`loss ${losses[0]} → ${losses.at(-1)}`);

optimizer.destroy();
for (const { param, grad } of parameters) for (const buffer of [param, grad]) buffer.destroy();
await session.release();
