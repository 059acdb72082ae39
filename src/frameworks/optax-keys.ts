// Arguments that several of optax's optimizers share.
import { only, required } from "./import.js";

/** States are f32 here: another type of theirs would be another result. */
export const float32 = /* @__PURE__ */ only(null, "float32");
/** Which tensors decay is told by groups. */
export const noMask = /* @__PURE__ */ only(null);
export const everywhere = /* @__PURE__ */ only(true);

export const adamKeys = {
  learning_rate: required,
  b1: 0.9,
  b2: 0.999,
  eps: 1e-8,
  eps_root: 0,
  mu_dtype: float32,
} as const;
export const adamwKeys = { ...adamKeys, weight_decay: 1e-4, mask: noMask } as const;

export interface AdamConfig {
  readonly learning_rate: number;
  readonly b1: number;
  readonly b2: number;
  readonly eps: number;
  readonly eps_root: number;
}
export const adamOptions = ({
  learning_rate: lr,
  b1: beta1,
  b2: beta2,
  eps,
  eps_root: epsRoot,
}: AdamConfig) => ({
  lr,
  beta1,
  beta2,
  eps,
  epsRoot,
});
/** Only what its rule has here. */
export const zero = /* @__PURE__ */ only(0);
export const never = /* @__PURE__ */ only(false);
/** Of optax's Schedule-Free rules. */
export const scheduleFreeKeys = {
  // With a warm-up, optax counts the steps of rate and weight one apart.
  warmup_steps: /* @__PURE__ */ only(null),
  weight_lr_power: /* @__PURE__ */ only(2),
  state_dtype: float32,
} as const;
/** Of the names with decoupled decay. */
export const decoupled = { weight_decay: 0, mask: noMask } as const;
