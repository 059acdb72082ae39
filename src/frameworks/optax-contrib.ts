import { ademamix, muon, prodigy, scheduleFreeAdamw, scheduleFreeSgd, sophia } from "../kernels.js";
import { aNumber, type Framework, framework, invalidConfig, only, optional, required } from "./import.js";
import { decoupled, float32, never, noMask, scheduleFreeKeys, zero } from "./optax-keys.js";

/** Aliases of `optax.contrib`. */
export const contrib: Framework = /* @__PURE__ */ framework(
  "optax",
  {},
  {
    ademamix: {
      keys: {
        learning_rate: required,
        b1: 0.9,
        b2: 0.999,
        b3: 0.9999,
        alpha: 5,
        eps: 1e-8,
        eps_root: zero,
        mu_dtype: float32,
        ...decoupled,
      },
      rule: (config) => {
        const { learning_rate: lr, b1: beta1, b2: beta2, b3: beta3, alpha, eps } = config;
        const weightDecay = config.weight_decay;
        return ademamix({ lr, beta1, beta2, beta3, alpha, eps, weightDecay, decay: "decoupled" });
      },
    },
    // For its matrices; a group with adamw takes the others.
    muon: {
      keys: {
        learning_rate: required,
        ns_coeffs: [3.4445, -4.775, 2.0315],
        ns_steps: 5,
        beta: 0.95,
        eps: 1e-8,
        weight_decay: 0,
        weight_decay_mask: noMask,
        mu_dtype: float32,
        nesterov: true,
        adaptive: never,
        // Of the others.
        adam_b1: aNumber,
        adam_b2: aNumber,
        adam_eps_root: aNumber,
        adam_weight_decay: aNumber,
      },
      rule: ({ ns_coeffs: [a, b, c], ns_steps: steps, beta: momentum, eps, nesterov, ...rest }) => {
        const { learning_rate: lr, weight_decay: weightDecay } = rest;
        const options = { lr, momentum, nesterov, a, b, c, steps, eps, weightDecay } as const;
        return muon({
          ...options,
          epsFloor: false,
          biasCorrection: true,
          scaling: "optax",
          decay: "decoupled",
        });
      },
    },
    schedule_free_sgd: {
      keys: {
        learning_rate: 1,
        b1: 0.9,
        weight_decay: optional,
        ...scheduleFreeKeys,
      },
      rule: ({ learning_rate: lr, b1: momentum, weight_decay: weightDecay }) =>
        scheduleFreeSgd({ lr, momentum, weightDecay: weightDecay ?? 0, decay: "decoupled" }),
    },
    schedule_free_adamw: {
      keys: {
        learning_rate: 2.5e-3,
        b1: 0.9,
        b2: 0.999,
        eps: 1e-8,
        weight_decay: 0,
        ...scheduleFreeKeys,
      },
      rule: ({ learning_rate: lr, b1: beta1, b2: beta2, eps, weight_decay: weightDecay }) =>
        scheduleFreeAdamw({ lr, beta1, beta2, eps, weightDecay, decay: "decoupled", correctedRate: false }),
    },
    sophia: {
      keys: {
        learning_rate: required,
        b1: 0.965,
        b2: 0.99,
        eps: 1e-8,
        weight_decay: 1e-4,
        weight_decay_mask: noMask,
        gamma: 0.01,
        clip_threshold: 1,
        // The caller's part: what is handed to curvature(), and when.
        update_interval: {
          neutral: "a whole number of steps",
          holds: (value: unknown) => Number.isSafeInteger(value) && Number(value) > 0,
        },
        hessian_diagonal_fn: /* @__PURE__ */ only(null),
        mu_dtype: float32,
        verbose: never,
        print_win_rate_every_n_steps: zero,
      },
      rule: ({ learning_rate: lr, b1: beta1, b2: beta2, eps, gamma, ...rest }) => {
        const { clip_threshold: clipThreshold, weight_decay: weightDecay } = rest;
        const options = { lr, beta1, beta2, eps, gamma, clipThreshold, weightDecay };
        return sophia({ ...options, biasCorrection: true, decay: "decoupled" });
      },
    },
    prodigy: {
      keys: {
        learning_rate: 1,
        betas: [0.9, 0.999],
        beta3: optional,
        eps: 1e-8,
        estim_lr0: 1e-6,
        estim_lr_coef: 1,
        weight_decay: 0,
        safeguard_warmup: false,
        weight_decay_mask: noMask,
      },
      rule: (config) => {
        const { learning_rate: lr, betas, eps, estim_lr0: d0, estim_lr_coef: dCoef } = config;
        const [beta1, beta2] = betas;
        const { weight_decay: weightDecay, safeguard_warmup: safeguardWarmup } = config;
        if (config.beta3 === 0)
          throw invalidConfig(
            "Key 'beta3' of optax's prodigy cannot be carried out",
            "null or a decay rate above 0",
            0,
            "leave it out for the root of the second beta",
          );
        const options = { lr, beta1, beta2, beta3: config.beta3 ?? 0, eps, d0, dCoef, weightDecay };
        const form = { biasCorrection: true, newDistance: true, decay: "decoupled" } as const;
        return prodigy({ ...options, safeguardWarmup, ...form });
      },
    },
  },
);
