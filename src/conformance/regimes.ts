import { gradients, normals } from "./numbers.js";

/** Elements of a tensor of each regime: whole groups of four lanes. */
export const ELEMENTS = 12;
/** Steps of a run; from step {@link RATE_CHANGE} on its rate is another. */
export const STEPS = 24;
export const RATE_CHANGE = 13;

/** A way that gradients go over a run. */
export interface Regime {
  readonly name: string;
  /** What the parameters begin at; standard normal values if left out. */
  readonly initial?: Float32Array;
  /** Gradients of step t, from 1. */
  readonly gradients: (t: number) => Float32Array;
  /** Whether each step is judged by itself; by the run as a whole otherwise. */
  readonly stepwise?: boolean;
  /** Whether the run is judged as a whole, too: not where rounding alone decides. */
  readonly free: boolean;
  /** Whether correct f32 implementations may part here: not for other libraries. */
  readonly edge?: boolean;
}

const from = (seed: number, value: (normal: number, t: number, i: number) => number) => {
  const base = normals(seed, ELEMENTS);
  return (t: number) => base.map((normal, i) => value(normal, t, i));
};

/** What gradients do in training, and at the edges of f32. */
export const regimes: readonly Regime[] = [
  { name: "noisy", gradients: (t) => gradients(2, t, ELEMENTS), free: true },
  { name: "shrinking", gradients: from(3, (g, t) => g * 0.6 ** t), free: true },
  // Where an ε of 1e-10 to 1e-4 decides.
  {
    name: "small",
    gradients: from(10, (g, t, i) => g * 10 ** (-4 - (i % 7)) * (t % 5 === 0 ? -1 : 1)),
    free: true,
  },
  { name: "sign-changing", gradients: from(4, (g, t, i) => ((t + (i % 2)) % 3 === 0 ? -g : g)), free: true },
  { name: "constant", gradients: from(5, (g) => g), free: true, edge: true },
  // A variance of a millionth of the square.
  {
    name: "almost constant",
    edge: true,
    gradients: (t) => normals(12, ELEMENTS).map((g, i) => g * (1 + 1e-3 * normals(300 + t, ELEMENTS)[i]!)),
    free: true,
  },
  // Zeros from the start, zeros from the middle on, and values whose squares are 1e-34.
  {
    name: "vanishing",
    gradients: from(6, (g, t, i) => (i % 3 === 0 ? 0 : t <= 8 ? g : i % 3 === 1 ? 0 : 1e-17 * Math.sign(g))),
    free: false,
  },
  // Products of these are zero in f32.
  {
    name: "tiny",
    gradients: from(11, (g, t, i) => g * 1e-25 * ((t + i) % 3 === 0 ? -1 : 1)),
    free: false,
  },
  { name: "exploding", gradients: from(7, (g, t) => g * 10 ** ((15 * t) / STEPS)), free: false },
  {
    name: "huge",
    gradients: from(
      8,
      (g, t, i) => [0, 1e18, -1e18, 1e-15][(i + t * (1 + (i % 3)) + (t >> 2)) % 4]! * Math.sign(g),
    ),
    free: false,
  },
  // Parameters from 1e3 to 1e6, in which small updates are lost.
  {
    name: "far",
    edge: true,
    initial: normals(15, ELEMENTS).map((value, i) => Math.sign(value) * 10 ** (3 + (i % 4))),
    gradients: (t) => gradients(16, t, ELEMENTS),
    free: true,
  },
  // Parameters that begin at zero and steps without a gradient: norms are zero, and nothing is to be divided by them.
  {
    name: "zeros",
    edge: true,
    initial: new Float32Array(ELEMENTS),
    gradients: from(17, (g, t) => (t % 4 === 2 ? 0 : g)),
    free: true,
  },
  // From the smallest normal numbers up: their squares are zero.
  {
    name: "vanished",
    edge: true,
    gradients: from(13, (g, t, i) => Math.sign(g) * 1.2 * 10 ** (-38 + ((i + t) % 9))),
    free: false,
  },
  // Now and then a gradient whose square f32 does not hold, the first one in some elements.
  {
    name: "spikes",
    edge: true,
    gradients: from(14, (g, t, i) =>
      t === 1 + 2 * (i % 8) ? Math.sign(g) * 3 * 10 ** (20 + ((7 * i) % 19)) : g,
    ),
    stepwise: false,
    free: true,
  },
];

/** Gradients up to 1e30, whose squares f32 cannot hold: parameters and states stay finite. */
export const beyond = (t: number): Float32Array =>
  Float32Array.from({ length: 64 }, (_, i) => {
    const pool = [0, 1e-30, -1e-30, 1e18, -1e18, 1e30, -1e30];
    return pool[(i + t * (1 + (i % 3)) + (t >> 2)) % pool.length]!;
  });
