import { type Array as DeviceArray, jit, valueAndGrad } from "@jax-js/jax";
import type { LossAndGradients, Tree } from "./task.js";

/** jit for functions of any trees, which its types do not follow. */
export const compiled = <A extends unknown[], R extends Tree>(compute: (...given: A) => R) =>
  jit(compute as never) as unknown as (...given: A) => R;

/** The loss and its gradients in the first argument, compiled. Arguments are consumed. */
export function compiledGradients<T extends Tree, A extends unknown[]>(
  loss: (parameters: T, ...given: A) => DeviceArray,
): (parameters: T, ...given: A) => LossAndGradients<T> {
  const both = compiled(valueAndGrad(loss as never) as unknown as (...given: [T, ...A]) => [DeviceArray, T]);
  return (...given) => {
    const [value, gradients] = both(...given);
    return { loss: value, gradients };
  };
}
