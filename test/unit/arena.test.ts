// The layout of an arena, on a device that only notes what it is asked for.
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { checkParameters } from "../../src/engine/memory/parameters.js";
import { joinSpans, sortTensors } from "../../src/engine/memory/spans.js";
import { createArena } from "../../src/index.js";

// Absent in Node; the values are WebGPU's.
beforeAll(
  () =>
    void vi.stubGlobal("GPUBufferUsage", { COPY_SRC: 0x4, COPY_DST: 0x8, STORAGE: 0x80, INDIRECT: 0x100 }),
);
afterAll(() => void vi.unstubAllGlobals());

const device = (maxBufferSize = 2 ** 28) =>
  ({
    limits: { maxBufferSize },
    createBuffer: (descriptor: GPUBufferDescriptor) => ({ ...descriptor, destroy() {} }),
  }) as unknown as GPUDevice;

const shapes = fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 3 });
const groups = fc
  .array(fc.array(shapes, { maxLength: 6 }), { minLength: 1, maxLength: 4 })
  .map((lists) =>
    lists.map((list, group) => Object.fromEntries(list.map((shape, index) => [`g${group}t${index}`, shape]))),
  );

test("ranges lie in order, on 256 bytes, without gap or overlap, alike for parameters and gradients", () => {
  fc.assert(
    fc.property(groups, (given) => {
      const arena = createArena(device(), given);
      let at = 0;
      for (const { param, grad, shape } of arena.groups.flat()) {
        expect(param.offset).toBe(at);
        expect(param.size).toBe(4 * shape.reduce((product, extent) => product * extent, 1));
        expect(at % 256).toBe(0);
        expect({ ...grad, buffer: 0 }).toEqual({ ...param, buffer: 0 });
        at += param.size + (param.padding ?? 0);
      }
      expect(at % 256).toBe(0);
      expect(arena.parameters.size).toBe(Math.max(at, 256));
      expect(arena.gradients.size).toBe(Math.max(at, 256));
      expect(arena.parameters).not.toBe(arena.gradients);
    }),
  );
});

test("a group is one span", () => {
  fc.assert(
    fc.property(groups, (given) => {
      const arena = createArena(device(), given);
      for (const tensors of checkParameters(arena.groups)) {
        const sorted = sortTensors(tensors);
        const spans = joinSpans(sorted, ({ param, gradient }) => [param, gradient]);
        expect(spans).toHaveLength(sorted.length > 0 ? 1 : 0);
      }
    }),
  );
});

test("labels and usage are the caller's, on top of what the engine needs", () => {
  const plain = createArena(device(), [{ a: [1] }]);
  expect(plain.parameters).toMatchObject({ label: "arena parameters", usage: 0x8c });
  const named = createArena(device(), [{ a: [1] }], { label: "model", usage: 0x100 });
  expect(named.gradients).toMatchObject({ label: "model gradients", usage: 0x18c });
});

test("a caller's shape may change later", () => {
  const shape = [2, 3];
  const arena = createArena(device(), [{ a: shape }]);
  shape[0] = 100;
  expect(arena.get("a").shape).toEqual([2, 3]);
});
