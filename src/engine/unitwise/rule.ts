// Guards by unit as the passes of a rule that has no update.
import type { Rule, RuleOptions, RuleRow } from "../../rule.js";
import { code as clipFactor } from "../../shaders/engine/clip.wgsl?engine";
import { code as flags } from "../../shaders/engine/control.wgsl?engine";
import { code as clip } from "../../shaders/passes/adaptive-clip.wgsl?engine";
import { code as centralize } from "../../shaders/passes/centralize.wgsl?engine";
import { structs, code as units } from "../../shaders/passes/units.wgsl?engine";
import { elements, type WholePass, type WholeShape, type WholeTensor } from "../../whole-tensor.js";
import type { Units } from "../options/guard-options.js";
import type { Unitwise } from "./options.js";

/** Units of a tensor: how many, of how many elements each, and whether these take turns in memory. */
interface UnitShape {
  readonly units: number;
  readonly length: number;
  readonly across: boolean;
}

function unitsOf(shape: readonly number[], which: Units): UnitShape {
  const count = (which === "first" ? shape[0] : shape.at(-1)) ?? 1;
  return { units: count, length: elements(shape) / count, across: which === "last" && count > 1 };
}

/** As Brock's code and optax have it, a vector is one unit whatever dimensions of 1 it has. */
const clipUnits = ({ shape, count }: WholeShape, { clip }: Unitwise): UnitShape =>
  shape.filter((extent) => extent > 1).length > 1
    ? unitsOf(shape, clip!.units)
    : { units: 1, length: count, across: false };

/** A vector has none. */
const centerUnits = ({ shape, count }: WholeShape, { center }: Unitwise): UnitShape =>
  shape.length > 1 ? unitsOf(shape, center!.units) : { units: 0, length: count, across: false };

/** How units are shared out among workgroups, as `units_of` has it. */
function sharesOf({ units, length, across }: UnitShape) {
  const width = across || length <= 64 ? 16 : 1;
  return { groups: Math.ceil(units / width), parts: Math.ceil((length * width) / 4096) };
}

/** Measures the parts of units, settles what they come to, and applies it. */
function passesOf(
  [measure, settle, apply]: readonly [string, string, string],
  unitsOf: (tensor: WholeShape) => UnitShape,
): readonly WholePass[] {
  const shares = (tensor: WholeShape) => sharesOf(unitsOf(tensor));
  return [
    { run: measure, workgroups: (tensor) => shares(tensor).groups * shares(tensor).parts },
    { run: settle, workgroups: (tensor) => shares(tensor).groups },
    {
      run: apply,
      workgroups: (tensor) => (unitsOf(tensor).units > 0 ? Math.ceil(tensor.count / 256) : 0),
    },
  ];
}

const fieldsOf = (prefix: string, { units, length, across }: UnitShape) => ({
  [`${prefix}_units`]: units,
  [`${prefix}_length`]: length,
  [`${prefix}_across`]: Number(across),
});

const lengthOf = (unit: UnitShape) => unit.units * sharesOf(unit).parts;

const wholeOf = ({ clip: clips, center: centers }: Unitwise): WholeTensor<Unitwise> => ({
  shader: {
    code: [units, ...(clips ? [flags, clipFactor, clip] : []), ...(centers ? [centralize] : [])].join("\n"),
    structs,
  },
  ...(clips && { parameters: true }),
  scratch: (tensor, unitwise) => ({
    units: Math.max(
      clips ? 2 * lengthOf(clipUnits(tensor, unitwise)) : 0,
      centers ? lengthOf(centerUnits(tensor, unitwise)) : 0,
    ),
  }),
  fields: (tensor, unitwise) => ({
    ...(clips && {
      ...fieldsOf("clip", clipUnits(tensor, unitwise)),
      clipping: clips.clipping,
      eps: clips.eps,
    }),
    ...(centers && fieldsOf("center", centerUnits(tensor, unitwise))),
  }),
  passes: (unitwise) => [
    ...(clips
      ? passesOf(["measure_norms", "settle_norms", "clip"], (tensor) => clipUnits(tensor, unitwise))
      : []),
    ...(centers
      ? passesOf(["measure_means", "settle_means", "centralize"], (tensor) => centerUnits(tensor, unitwise))
      : []),
  ],
});

/** The passes as a rule's. */
export function unitwiseRule(unitwise: Unitwise): Rule {
  const row: Omit<RuleRow<Unitwise>, "formula" | "source"> = {
    name: unitwise.clip ? "guards.adaptiveClip" : "guards.centralize",
    shader: {
      file: "unitwise.wgsl",
      code: "",
      scalars: {},
      states: [],
      overrides: [],
      linear: false,
      lookahead: false,
      curvature: false,
      direct: false,
      stateful: false,
      sums: [],
      settled: [],
    },
    options: {},
    whole: wholeOf(unitwise),
  };
  // The engine hands options through to what they are of.
  return { row: row as unknown as RuleRow, options: unitwise as unknown as RuleOptions };
}
