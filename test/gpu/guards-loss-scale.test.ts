// The loss scale: exact where it is a power of two, and grown and halved as PyTorch's GradScaler has it.
import { describe, expect, test } from "vitest";
import { adam, createOptimizer, type StepReport, sgd } from "../../src/index.js";
import { read, upload } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { LENGTH, run, schedule, some, spoiled } from "../support/guarded-runs.js";
import { normals } from "../support/numbers.js";

const watched = useDevice();

/** PyTorch's GradScaler, with a floor and a cap. */
function gradScaler(
  script: readonly boolean[],
  {
    initial,
    growth,
    backoff,
    interval,
    min,
    max,
  }: Record<"initial" | "growth" | "backoff" | "interval" | "min" | "max", number>,
): number[] {
  let scale = initial;
  let tracker = 0;
  return script.map((good) => {
    const used = scale;
    if (!good) {
      scale = Math.max(scale * backoff, min);
      tracker = 0;
    } else {
      tracker += 1;
      if (tracker === interval) {
        scale = Math.min(scale * growth, max);
        tracker = 0;
      }
    }
    return used;
  });
}

describe("loss scale", () => {
  test("a fixed power of two gives the bits of the run without it", async () => {
    const guards = { clipValue: 3, clipNorm: 1, clipGlobalNorm: 0.9 };
    for (const lossScale of [1024, 2 ** -3]) {
      const scaled = some(5).map((values) => values.map((value) => lossScale * value));
      const plain = await run(watched().device, adam(), some(5), guards);
      const got = await run(watched().device, adam(), scaled, { ...guards, lossScale });
      expect(got.parameters).toEqual(plain.parameters);
      expect(got.states).toEqual(plain.states);
    }
  });

  test("another fixed number is divided out within one rounding", async () => {
    const scaled = some(1).map((values) => values.map((value) => 1000 * value));
    const got = await run(watched().device, adam(), scaled, { lossScale: 1000 });
    some(1)[0]!.forEach((value, i) => {
      // exp_avg is 0.1·g: the scaled gradient, the reciprocal, the product and 0.1 are rounded once each.
      expect(Math.abs(got.states[0]![i]! - 0.1 * value)).toBeLessThanOrEqual(
        4 * 2 ** -23 * Math.abs(0.1 * value),
      );
    });
  });

  // Bad ones from the start down to the floor, then growth to the cap, with a bad one just before it would grow.
  const script = [..."bbbb ggg gg b ggg ggg ggg ggg ggg ggg b ggg"]
    .filter((c) => c !== " ")
    .map((c) => c === "g");
  const options = { initial: 1024, growth: 4, backoff: 0.25, interval: 3, min: 16, max: 8192 };

  test.each(["one encoder", "step by step"])(
    "dynamic: a caller's kernel reads it, and it follows PyTorch's GradScaler, %s",
    async (manner) => {
      const { device } = watched();
      const reports: StepReport[] = [];
      const param = upload(device, normals(3, LENGTH));
      const grad = upload(device, new Float32Array(LENGTH));
      const plain = upload(device, new Float32Array(LENGTH));
      const optimizer = await createOptimizer(device, {
        rule: adam({ lr: 0.01 }),
        schedule,
        parameters: [{ name: "x", param, grad }],
        guards: { lossScale: options, clipGlobalNorm: 1, skipsInFlight: 16 },
        telemetry: { onReport: (report) => reports.push(report) },
      });
      const pipeline = device.createComputePipeline({
        layout: "auto",
        compute: {
          module: device.createShaderModule({
            code: `
@group(0) @binding(0) var<uniform> scale: f32;
@group(0) @binding(1) var<storage, read> plain: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&gradient)) { gradient[id.x] = scale * plain[id.x]; }
}`,
          }),
        },
      });
      const bindGroup = device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [optimizer.lossScale, plain, grad].map((resource, binding) => ({ binding, resource })),
      });
      let good = 0;
      const clean = some(script.length);
      const given = script.map((ok) => {
        const values = clean[good]!;
        if (ok) good += 1;
        // Finite before it is scaled: what overflows is the product.
        return ok ? values : spoiled(values, 3.4e38, 100);
      });
      const taken = clean.slice(0, good);
      const rows = upload(
        device,
        given.flatMap((values) => [...values]),
      );
      let encoder = device.createCommandEncoder();
      for (const [t] of script.entries()) {
        encoder.copyBufferToBuffer(rows.buffer, t * LENGTH * 4, plain.buffer, 0, LENGTH * 4);
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(Math.ceil(LENGTH / 64));
        pass.end();
        optimizer.encode(encoder);
        if (manner === "one encoder") continue;
        device.queue.submit([encoder.finish()]);
        optimizer.submitted();
        await optimizer.settled();
        encoder = device.createCommandEncoder();
      }
      device.queue.submit([encoder.finish()]);
      optimizer.submitted();
      await optimizer.settled();
      const [parameters, exp_avg] = await read(device, [param, optimizer.state("x", "exp_avg")]);
      const [scale] = await read(device, [optimizer.lossScale]);
      const scales = gradScaler([...script, true], options);
      expect(reports.map(({ lossScale }) => lossScale)).toEqual(scales.slice(0, -1));
      expect(scale![0]).toBe(scales.at(-1));
      expect(reports.map(({ taken }) => taken)).toEqual(script);
      // Powers of two: the bits of the run that was never scaled.
      const expected = await run(watched().device, adam({ lr: 0.01 }), taken, { clipGlobalNorm: 1 });
      expect(parameters).toEqual(expected.parameters);
      expect(exp_avg).toEqual(expected.states[0]);
      optimizer.destroy();
      for (const { buffer } of [param, grad, plain, rows]) buffer.destroy();
    },
  );

  test("steps that are taken in spite of a NaN lower the scale as well", async () => {
    const given = some(2);
    const { reports } = await run(
      watched().device,
      sgd(),
      [spoiled(given[0]!, Number.NaN), given[1]!],
      { nonFinite: "zero", lossScale: { initial: 64 } },
      { telemetry: true },
    );
    expect(reports.map(({ lossScale, taken }) => [lossScale, taken])).toEqual([
      [64, true],
      [32, true],
    ]);
  });
});
