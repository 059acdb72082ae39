// Writes the kernels of rules that add something up over a tensor before the update: `measure` and `settle`.
import type { Rule, RuleShader } from "../../rule.js";
import { HEADER, lanes } from "../kernels/compose.js";
import type { Width } from "../memory/spans.js";
import { COMPONENTS, loadSettled, monitoredGradient, stepBindings } from "./compose-monitored.js";
import { ITEM_THREADS } from "./items.js";

/** Fields of `Sums` or `Settled` as one vec4f. */
const packed = (fields: readonly string[], value: string) =>
  `vec4f(${COMPONENTS.map((_, i) => (fields[i] === undefined ? "0.0" : `${value}.${fields[i]}`)).join(", ")})`;

/** What a rule measures of each item, after the stages before it. The bindings are those of the step. */
export function composeRuleMeasure(shader: RuleShader, width: Width, fromOrigin: boolean): string {
  // Lanes beyond the element are zero, so that a sum over four lanes is right.
  const load = width === 4 ? lanes(4).load : (place: string) => `vec4f(${place}, 0.0, 0.0, 0.0)`;
  const loadBits = width === 4 ? lanes(4).load : (place: string) => `vec4u(${place}, 0u, 0u, 0u)`;
  const origin = fromOrigin ? "engine_origin" : "engine_parameters";
  const given = [
    "engine_parameter",
    "engine_gradient",
    ...(shader.states.length > 0 ? ["engine_state"] : []),
    "engine_settled",
  ];
  return `${shader.code}${HEADER}${stepBindings(shader, width, fromOrigin)}
    let engine_factor = engine_stage.sign * engine_stage.clip_factor * engine_sums[engine_item.factor].x;${loadSettled(shader)}
    var engine_total = vec4f();
    for (var engine_k = engine_thread; engine_k < engine_item.count; engine_k += ${ITEM_THREADS}u) {
        let engine_index = engine_chunk.first + engine_item.first + engine_k;
${monitoredGradient(shader, load, loadBits, origin)}
        let engine_measured = measure(${given.join(", ")});
        engine_total += ${packed(shader.sums, "engine_measured")};
    }
    engine_sums[engine_partial + engine_chunk.measured] = engine_total;
  }
}
`;
}

/**
 * Settles the sums of a group's tensors, in a single workgroup. With scope `all`, each sees the sum over all tensors whose
 * groups have the same rule.
 */
export function composeRuleSettle({ row: { shader, scope } }: Rule): string {
  const sums = shader.sums.map((_, i) => `engine_sum.${COMPONENTS[i]}`).join(", ");
  const kept = shader.settled.map((_, i) => `engine_kept.${COMPONENTS[i]}`).join(", ");
  // In the place of engine_chunk, which this kernel does not use.
  return `${shader.code}${HEADER}struct engine_Settling {
  first: u32, // of the group's tensors
  count: u32,
  tensors: u32, // in all
  totals: u32, // index in engine_sums of the first tensor's sums
  settled: u32, // and of its settled values
  rule: u32,
}
@group(1) @binding(0) var<uniform> engine_settling: engine_Settling;
// The rule of each tensor's group.
@group(1) @binding(1) var<storage, read> engine_rules: array<u32>;
@group(1) @binding(2) var<storage, read_write> engine_sums: array<vec4f>;

@compute @workgroup_size(${ITEM_THREADS})
fn engine_main(@builtin(local_invocation_index) engine_thread: u32) {
  // A step that is skipped settles nothing.
  if (engine_stage.skip != 0u) {
    return;
  }${
    scope === "all"
      ? `
  // Every thread adds up the same, in the same order.
  var engine_sum = vec4f();
  for (var engine_i = 0u; engine_i < engine_settling.tensors; engine_i++) {
    if (engine_rules[engine_i] == engine_settling.rule) {
      engine_sum += engine_sums[engine_settling.totals + engine_i];
    }
  }`
      : ""
  }
  for (var engine_i = engine_settling.first + engine_thread; engine_i < engine_settling.first + engine_settling.count; engine_i += ${ITEM_THREADS}u) {${
    scope === "all"
      ? ""
      : `
    let engine_sum = engine_sums[engine_settling.totals + engine_i];`
  }
    let engine_kept = engine_sums[engine_settling.settled + engine_i];
    let engine_next = settle(Sums(${sums}), Settled(${kept}));
    engine_sums[engine_settling.settled + engine_i] = ${packed(shader.settled, "engine_next")};
  }
}
`;
}
