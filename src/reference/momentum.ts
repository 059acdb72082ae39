import type { ReferenceRule } from "./reference-rule.js";
import { times } from "./summands.js";

// The momentum buffer is the velocity of the literature with its sign turned: it is subtracted.

type MomentumOptions = { momentum: number; dampening: number; form: "buffer" | "velocity" | "average" };

/** Momentum: PyTorch's buffer, the velocity of Polyak 1964 (rate inside), or an exponential average of gradients. */
export const momentum: ReferenceRule<MomentumOptions, "momentum_buffer"> = {
  initial: () => ({ momentum_buffer: 0 }),
  step({ options, t, lr, gradient, state }) {
    const kept = options.momentum * state.momentum_buffer;
    if (options.form === "velocity") {
      const buffer = [kept, ...times(lr, gradient)];
      return { update: buffer, state: { momentum_buffer: buffer } };
    }
    if (options.form === "average") {
      const average = [kept, ...times(1 - options.momentum, gradient)];
      return { update: times(lr, average), state: { momentum_buffer: average } };
    }
    // PyTorch fills the buffer with the first gradient undampened.
    const buffer = [kept, ...(t === 1 ? gradient : times(1 - options.dampening, gradient))];
    return { update: times(lr, buffer), state: { momentum_buffer: buffer } };
  },
};

type NesterovOptions = { momentum: number; form: "buffer" | "velocity" };

/** Nesterov momentum, shifted so that θ is the look-ahead point: θ ← θ − η(g + μb) (PyTorch), or Keras's velocity. */
export const nesterov: ReferenceRule<NesterovOptions, "momentum_buffer"> = {
  initial: () => ({ momentum_buffer: 0 }),
  step({ options, lr, gradient, state }) {
    const { momentum, form } = options;
    const descent = times(lr, gradient);
    const kept = momentum * state.momentum_buffer;
    if (form === "velocity") {
      const velocity = [kept, ...descent];
      return { update: [...times(momentum, velocity), ...descent], state: { momentum_buffer: velocity } };
    }
    const buffer = [kept, ...gradient];
    return { update: [...descent, ...times(lr * momentum, buffer)], state: { momentum_buffer: buffer } };
  },
};

/** Nesterov's accelerated gradient: v ← μv − ηg(θ + μv), θ ← θ + v (Sutskever et al. 2013, eq. 3–4). */
export const nesterovLookahead: ReferenceRule<{ momentum: number }, "momentum_buffer"> = {
  initial: () => ({ momentum_buffer: 0 }),
  lookahead: ({ momentum }, parameter, state) => parameter - momentum * state.momentum_buffer,
  step({ options, lr, gradient, state }) {
    const buffer = [options.momentum * state.momentum_buffer, ...times(lr, gradient)];
    return { update: buffer, state: { momentum_buffer: buffer } };
  },
};
