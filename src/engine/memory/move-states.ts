import { byName, type GroupPasses, type GroupTensor } from "../kernels/passes.js";

/** Encodes copies of all that is kept of each tensor from one machine's memory to another's. */
export function moveStates(
  encoder: GPUCommandEncoder,
  before: readonly GroupPasses[],
  next: readonly GroupPasses[],
): void {
  const found = byName(next);
  for (const passes of before)
    for (const tensor of passes.tensors)
      for (const state of tensor.size === 0 ? [] : passes.states)
        copy(encoder, state, { passes, tensor }, { passes: found.get(tensor.name)!.passes, tensor });
  shareSettled(encoder, before, next);
}

/** What a rule settled over all tensors holds for those that were not stepped, too: they have joined, or may thaw. */
function shareSettled(
  encoder: GPUCommandEncoder,
  before: readonly GroupPasses[],
  next: readonly GroupPasses[],
): void {
  const stepped = before.map((passes) => ({ passes, ...passes.monitored }));
  const names = new Set(stepped.flatMap(({ tensors }) => tensors.map(({ name }) => name)));
  next.forEach((passes, index) => {
    const { row } = passes.monitored.rule;
    if (row.scope !== "all") return;
    // A group's own first: options of groups may differ.
    const from = [...stepped.slice(index, index + 1), ...stepped].find(
      ({ rule, tensors }) => rule.row === row && tensors.some(({ size }) => size > 0),
    );
    const source = from?.tensors.find(({ size }) => size > 0);
    if (!from || !source) return;
    for (const tensor of passes.tensors)
      for (const name of tensor.size === 0 || names.has(tensor.name) ? [] : row.shader.settled)
        copy(encoder, name, { passes: from.passes, tensor: source }, { passes, tensor });
  });
}

function copy(encoder: GPUCommandEncoder, state: string, source: GroupTensor, target: GroupTensor): void {
  const from = source.passes.state(source.tensor, state);
  const to = target.passes.state(target.tensor, state);
  encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
}
