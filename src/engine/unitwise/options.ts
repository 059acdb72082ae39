import { checkNames } from "../options/check-names.js";
import {
  number,
  oneOf,
  positive,
  UNLIMITED,
  type Units,
  type UnitwiseGuards,
} from "../options/guard-options.js";

/** Guards by unit, checked. */
export interface Unitwise {
  readonly clip: { readonly clipping: number; readonly eps: number; readonly units: Units } | undefined;
  readonly center: { readonly units: Units } | undefined;
}

/** Whoever reads a number or a flag reads an object with that. */
const objectOf = (name: string, given: unknown): object =>
  typeof given === "object" && given !== null ? given : { [name]: given };

const unitsOf = (name: string, units: Units = "first"): Units =>
  oneOf(`${name}.units`, units, ["first", "last"]);

/**
 * What a group's guards by unit, or else the optimizer's, come to; undefined where they do nothing.
 * @throws OptimError `invalid-argument`
 */
export function unitwiseOf(all: UnitwiseGuards = {}, own: UnitwiseGuards = {}): Unitwise | undefined {
  checkNames("guards of a group", own, ["adaptiveClip", "centralize"]);
  const { adaptiveClip: ownClip = all.adaptiveClip, centralize: ownCenter = all.centralize } = own;
  const clip = checkClip(ownClip);
  const center = checkCenter(ownCenter);
  return clip || center ? { clip, center } : undefined;
}

function checkClip(given: unknown = Infinity): Unitwise["clip"] {
  const options: object = objectOf("clipping", given);
  checkNames("adaptiveClip", options, ["clipping", "eps", "units"]);
  const { clipping = 0.01, eps = 1e-3, units } = options as Partial<NonNullable<Unitwise["clip"]>>;
  const which = unitsOf("adaptiveClip", units);
  number("adaptiveClip.eps", eps, positive, "a number above 0");
  if (clipping === Infinity) return undefined;
  const above = "a number above 0, or Infinity for no limit";
  number("adaptiveClip", clipping, (value) => positive(value) && value < UNLIMITED, above);
  return { clipping, eps, units: which };
}

function checkCenter(given: unknown = false): Unitwise["center"] {
  if (typeof given === "boolean") return given ? { units: "first" } : undefined;
  const options: object = objectOf("centralize", given);
  checkNames("centralize", options, ["units"]);
  return { units: unitsOf("centralize", (options as { readonly units?: Units }).units) };
}
