import { polyakSgd } from "../kernels.js";
import { type Framework, framework, invalidConfig, oneOf } from "./import.js";

/** Aliases of optax whose updates take more than gradients. */
export const solvers: Framework = /* @__PURE__ */ framework(
  "optax",
  {},
  {
    polyak_sgd: {
      keys: {
        max_learning_rate: 1,
        scaling: 1,
        f_min: 0,
        eps: 0,
        variant: /* @__PURE__ */ oneOf("sps", "sps+"),
      },
      rule: ({ max_learning_rate: maxRate, scaling, f_min: minimum, eps, variant }) => {
        if (!(scaling > 0))
          throw invalidConfig(
            "Key 'scaling' of optax's polyak_sgd cannot be carried out",
            "a number above 0",
            scaling,
            "let a schedule be 0 instead",
          );
        // optax scales the gradient first, and so the norm that it divides by, too.
        const squared = scaling ** 2;
        return polyakSgd({
          lr: scaling,
          maxRate,
          minimum,
          scale: 1 / squared,
          eps: eps / squared,
          leastSquare: 2 ** -52 / squared,
          variant,
        });
      },
    },
  },
);
