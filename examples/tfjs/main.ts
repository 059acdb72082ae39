// A model of tfjs's, trained by model.fit with an optimizer of webgpu-optim's.
import "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import * as tfl from "@tensorflow/tfjs-layers";
import { adamw, cosine } from "webgpu-optim";
import { createTfjsOptimizer } from "webgpu-optim/tfjs";

const log = (line: string) => document.querySelector("#log")!.append(`${line}\n`);

await tf.setBackend("webgpu");
const kernelInitializer = tfl.initializers.glorotUniform({ seed: 1 });
const model = tfl.sequential({
  layers: [
    tfl.layers.dense({ inputShape: [1], units: 32, activation: "tanh", kernelInitializer }),
    tfl.layers.dense({ units: 1, kernelInitializer }),
  ],
});

// In the place of tf.train.adam(): any rule, in place on the variables' own GPU buffers.
const epochs = 40;
const optimizer = await createTfjsOptimizer({
  rule: adamw({ lr: 0.05, weightDecay: 0.01 }),
  variables: model.trainableWeights,
  schedule: cosine({ steps: epochs }),
  guards: { clipGlobalNorm: 1 },
  groups: [{ match: /bias/, weightDecay: 0 }, {}],
});
model.compile({ optimizer, loss: "meanSquaredError" });

const inputs = tf.tidy(() => tf.reshape(tf.linspace(-3, 3, 128), [128, 1]));
const targets = tf.sin(inputs);
const { history } = await model.fit(inputs, targets, {
  epochs,
  batchSize: 128,
  yieldEvery: "never",
  verbose: 0,
});
log(`loss ${history.loss![0]} → ${history.loss!.at(-1)}`);
log(`rate at the end ${optimizer.engine.groups[0]!.rate}`);

optimizer.dispose();
model.dispose();
tf.dispose([inputs, targets]);
log("done");
