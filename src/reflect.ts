import { WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import { OptimError } from "./errors.js";
import type { RuleShader } from "./rule.js";
import { FUNCTIONS, UNIFORM } from "./shaders/prelude.js";

const VECTORS = new Set(["vec4f", "vec4<f32>"]);
/** What a sum of products does without: division, comparison, calls. */
const BEYOND_LINEAR = /[/%]|==|\bif\b|\b(?!(?:averaged|blended|vec4f|update|lookahead)\b)\w+\s*\(/;
/** What the engine keeps beside the states of a rule, under these names. */
const ENGINE_STATES = [
  "average",
  "slow_weights",
  "lookahead_origin",
  "gradient_accumulator",
  "directions",
  "points",
];
/** Sums and settled values of a tensor are kept in a vec4f. */
const LANES = 4;
/** Scalars live in one 256-byte slot of the uniform ring. */
const LARGEST_SCALARS = 256;

/**
 * Reads a rule's WGSL and checks the rule contract: `Scalars` of f32, no binding but the one fixed uniform, `State` of
 * vec4f, `update` and, optionally, `lookahead`, `curvature`, `measure` with `settle`. Adds what the text leaves to the
 * prelude. Undefined names and type errors are left to the WGSL compiler.
 * @throws OptimError `invalid-shader`, with the line where there is one.
 */
export function reflectRule(file: string, text: string): RuleShader {
  const written = parse(file, text);
  const code = withPrelude(withoutComments(text), written);
  const reflection = parse(file, code);
  const refuse = (what: string, expected: string, got: string, line?: number): never => {
    throw new OptimError("invalid-shader", `${file}${line ? `:${line}` : ""}: ${what}`, {
      expected,
      got,
      fix: "follow the rule contract in docs/rules.md",
    });
  };
  const struct = (name: string) => reflection.structs.find((candidate) => candidate.name === name);
  const typeName = (type: { name: string; format?: { name: string } | null } | null) =>
    type === null ? "nothing" : type.format ? `${type.name}<${type.format.name}>` : type.name;

  const scalars = struct("Scalars") ?? refuse("no struct Scalars", "struct Scalars of f32 fields", "none");
  for (const { name, type } of scalars.members)
    if (type.name !== "f32") refuse(`scalar '${name}' is not f32`, "f32", typeName(type), scalars.startLine);
  if (!(scalars.size <= LARGEST_SCALARS))
    refuse("Scalars are too large", `at most ${LARGEST_SCALARS} bytes`, `${scalars.size}`, scalars.startLine);

  const [uniform, ...others] = [
    ...reflection.uniforms,
    ...reflection.storage,
    ...reflection.textures,
    ...reflection.samplers,
  ];
  if (
    uniform?.name !== "scalars" ||
    uniform.group !== 0 ||
    uniform.binding !== 0 ||
    uniform.type.name !== "Scalars"
  )
    refuse(
      "the uniform is another",
      UNIFORM,
      `a binding named ${uniform?.name}`,
      uniform && lineOf(code, `\\b${uniform.name}\\s*:`),
    );
  const [other] = others;
  if (other)
    refuse(
      "a rule binds nothing else",
      UNIFORM,
      others.map(({ name }) => name).join(", "),
      lineOf(code, `\\b${other.name}\\s*:`),
    );

  const state = struct("State");
  for (const { name, type } of state?.members ?? [])
    if (!VECTORS.has(typeName(type)))
      refuse(`state '${name}' is not vec4f`, "vec4f", typeName(type), state?.startLine);
    else if (ENGINE_STATES.includes(name))
      refuse(
        `state '${name}' has a name of the engine's`,
        `none of ${ENGINE_STATES.join(", ")}`,
        name,
        state?.startLine,
      );

  const vec4f = (name: string) => name.replace("vec4<f32>", "vec4f");
  const signature = (name: string, parameters: readonly string[], result = "vec4f") => {
    const found = reflection.functions.find((candidate) => candidate.name === name);
    if (!found) return false;
    const written = found.arguments.map(({ type }) => vec4f(typeName(type)));
    const given = found.returnType ? vec4f(typeName(found.returnType)) : "nothing";
    if (written.join() !== parameters.join() || given !== result)
      refuse(
        `the signature of '${name}' is another`,
        `(${parameters.join(", ")}) -> ${result}`,
        `(${written.join(", ")}) -> ${given}`,
        found.startLine,
      );
    return true;
  };
  const few = (name: string): readonly string[] => {
    const found = struct(name);
    for (const { name: field, type } of found?.members ?? [])
      if (type.name !== "f32")
        refuse(`'${field}' of ${name} is not f32`, "f32", typeName(type), found?.startLine);
    const fields = (found?.members ?? []).map(({ name }) => name);
    if (fields.length > LANES)
      refuse(`${name} has too many fields`, `at most ${LANES}`, `${fields.length}`, found?.startLine);
    return fields;
  };
  const sums = few("Sums");
  const settled = few("Settled");
  const pointer = state ? ["ptr<State>"] : [];
  const value = state ? ["State"] : [];
  const kept = sums.length > 0 ? ["Settled"] : [];
  const direct = signature("direct", ["vec4f", "vec4f", ...pointer]);
  // States that the direction alone needs are not bound twice.
  const given = reflection.functions.find(({ name }) => name === "update")?.arguments.length;
  const stateful = state !== undefined && !(direct && given === 2);
  if (!signature("update", ["vec4f", "vec4f", ...(stateful ? pointer : []), ...kept]))
    refuse("no function update", "fn update(parameter: vec4f, gradient: vec4f, …) -> vec4f", "none");
  const lookahead = signature("lookahead", ["vec4f", ...value]);
  const curvature = state !== undefined && signature("curvature", ["vec4f", ...pointer], "nothing");
  const measures = signature("measure", ["vec4f", "vec4f", ...value, "Settled"], "Sums");
  const settles = signature("settle", ["Sums", "Settled"], "Settled");
  const parts = [sums.length > 0, settled.length > 0, measures, settles];
  if (new Set(parts).size > 1)
    refuse(
      "a rule with sums is incomplete",
      "struct Sums, struct Settled, fn measure and fn settle, or none of them",
      ["Sums", "Settled", "measure", "settle"].filter((_, i) => parts[i]).join(", "),
    );

  const reserved = /\bengine_\w+/.exec(code);
  if (reserved)
    refuse(
      "names that begin with engine_ are the engine's",
      "another name",
      reserved[0],
      lineOf(code, reserved[0]),
    );
  return {
    file,
    code,
    scalars: Object.fromEntries(scalars.members.map(({ name, offset }) => [name, offset])),
    states: (state?.members ?? []).map(({ name }) => name),
    overrides: reflection.overrides.map(({ name }) => name),
    linear: !BEYOND_LINEAR.test(withoutComments(text)),
    lookahead,
    curvature,
    direct,
    stateful,
    sums,
    settled,
  };
}

/** The text line for line, without what a page need not carry. One with block comments, which may be nested, stays. */
const withoutComments = (text: string) =>
  text.includes("/*") ? text : text.replace(/[ \t]*\/\/[^\n\v\f\r\u0085\u2028\u2029]*/g, "");

/** The text, and after it, so that its line numbers stay, what it uses of the prelude without having it. */
function withPrelude(text: string, { uniforms, functions }: WgslReflect): string {
  const parts = [
    ...(uniforms.length === 0 ? [UNIFORM] : []),
    ...Object.entries(FUNCTIONS)
      .filter(([name]) => new RegExp(`\\b${name}\\s*\\(`).test(text))
      .filter(([own]) => !functions.some(({ name }) => name === own))
      .map(([, code]) => code),
  ];
  return parts.length === 0 ? text : `${text.trimEnd()}\n\n${parts.join("\n\n")}\n`;
}

/** Line, from 1, of the first match. */
function lineOf(code: string, pattern: string): number {
  return code.slice(0, code.search(pattern)).split("\n").length;
}

function parse(file: string, code: string): WgslReflect {
  try {
    return new WgslReflect(code);
  } catch (cause) {
    // The parser ends its message with the line.
    const [, what, line] = /^(.*?)\.* Line: ?(\d+)/s.exec((cause as Error).message) ?? [];
    throw new OptimError(
      "invalid-shader",
      `${file}${line ? `:${line}` : ""}: ${what ?? (cause as Error).message}`,
      { expected: "valid WGSL", got: "a syntax error", fix: "correct the WGSL" },
      { cause },
    );
  }
}
