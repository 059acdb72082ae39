/** Shapes of GPT-2's tensors, 148 of them, at another width and with a vocabulary of 1000. */
export function transformerShapes(width: number): Record<string, readonly number[]> {
  const blocks = Array.from({ length: 12 }, (_, k) => ({
    [`${k}.ln1.weight`]: [width],
    [`${k}.ln1.bias`]: [width],
    [`${k}.attention.weight`]: [width, 3 * width],
    [`${k}.attention.bias`]: [3 * width],
    [`${k}.projection.weight`]: [width, width],
    [`${k}.projection.bias`]: [width],
    [`${k}.ln2.weight`]: [width],
    [`${k}.ln2.bias`]: [width],
    [`${k}.up.weight`]: [width, 4 * width],
    [`${k}.up.bias`]: [4 * width],
    [`${k}.down.weight`]: [4 * width, width],
    [`${k}.down.bias`]: [width],
  }));
  return Object.assign(
    { tokens: [1000, width], positions: [256, width], "ln.weight": [width], "ln.bias": [width] },
    ...blocks,
  );
}
