import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { frameworks, fromFramework } from "../../src/index.js";

const path = join(import.meta.dirname, "../../docs/dialects.md");

/** Stands for what the caller must give. */
const GIVEN = 0.123;

const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

type Keys = (typeof frameworks)[string]["optimizers"][string]["keys"];

/** The arguments with their defaults, as the table of the importer has them. */
const argumentsOf = (keys: Keys) =>
  Object.entries(keys).map(([key, normal]) => {
    if (typeof normal !== "object") return `${key} ${normal}`;
    if (Array.isArray(normal)) return `${key} (${normal.join(", ")})`;
    if ("names" in normal) return `${key} ${normal.names[0]}`;
    if ("required" in normal) return `**${key}**`;
    return "optional" in normal ? `${key} null` : `(${key})`;
  });

/** The factory's call, with the options that are not its defaults. The rate is the argument's. */
function call(framework: string, name: string, keys: Keys): string {
  const required = Object.entries(keys).filter(
    ([, normal]) => typeof normal === "object" && "required" in normal,
  );
  const rule = fromFramework(framework, name, Object.fromEntries(required.map(([key]) => [key, GIVEN])));
  const options = Object.entries(rule.options)
    .filter(([option, value]) => {
      // Without decay its style changes nothing.
      if (option === "decay" && rule.options.weightDecay === 0) return false;
      return option !== "lr" && value !== GIVEN && value !== rule.row.options[option]!.default;
    })
    .map(([option, value]) => `${option}: ${JSON.stringify(value)}`);
  return `\`${camel(rule.row.name)}(${options.length > 0 ? `{ ${options.join(", ")} }` : ""})\``;
}

const tables = Object.entries(frameworks).map(([framework, { name: title, optimizers }]) =>
  [
    `### ${title}`,
    "",
    "| name | arguments | rule by default |",
    "|---|---|---|",
    ...Object.entries(optimizers).map(
      ([name, { keys }]) =>
        `| \`${name}\` | ${argumentsOf(keys).join(", ")} | ${call(framework, name, keys)} |`,
    ),
  ].join("\n"),
);

test("the tables of names and defaults are the importers'", async () => {
  const doc = readFileSync(path, "utf8");
  const section = /(<!-- dialects: .* -->\n)[\s\S]*?(<!-- \/dialects -->)/;
  expect(doc).toMatch(section);
  await expect(
    doc.replace(section, (_, open, close) => `${open}${tables.join("\n\n")}\n${close}`),
  ).toMatchFileSnapshot(path);
});

/** A row of the hand-written tables: the cells after the first. */
function row(section: string, first: string): string[] {
  const doc = readFileSync(path, "utf8");
  const [, text] = doc.split(`\n## ${section}\n`);
  const lines = (text ?? "").split("\n## ", 1).join().split("\n");
  const line = lines.find((one) => one.startsWith(`| ${first} |`)) ?? "";
  expect(line, `${section}: ${first}`).not.toBe("");
  return line
    .split(/(?<!\\)\|/)
    .slice(2, -1)
    .map((cell) => cell.trim());
}

/** The default of an argument. */
const argument = (framework: string, optimizer: string, key: string) =>
  frameworks[framework]!.optimizers[optimizer]!.keys[key];

test.each([
  ["AdaGrad", "PyTorch", 2, "pytorch", "Adagrad", "eps"],
  ["AdaGrad", "Keras, optax", 1, "keras", "Adagrad", "initial_accumulator_value"],
  ["AdaGrad", "Keras, optax", 1, "optax", "adagrad", "initial_accumulator_value"],
  ["AdaGrad", "Keras, optax", 2, "keras", "Adagrad", "epsilon"],
  ["AdaGrad", "Keras, optax", 2, "optax", "adagrad", "eps"],
  ["AdaGrad", "TensorFlow 1", 1, "tensorflow1", "Adagrad", "initial_accumulator_value"],
  ["RMSProp", "PyTorch", 2, "pytorch", "RMSprop", "alpha"],
  ["RMSProp", "PyTorch", 3, "pytorch", "RMSprop", "eps"],
  ["RMSProp", "Keras", 2, "keras", "RMSprop", "rho"],
  ["RMSProp", "Keras", 3, "keras", "RMSprop", "epsilon"],
  ["RMSProp", "TensorFlow 1", 2, "tensorflow1", "RMSProp", "decay"],
  ["RMSProp", "TensorFlow 1", 3, "tensorflow1", "RMSProp", "epsilon"],
  ["RMSProp", "optax", 2, "optax", "rmsprop", "decay"],
  ["RMSProp", "optax", 3, "optax", "rmsprop", "eps"],
  ["RMSProp", "textbook", 2, "textbook", "rmsprop", "rho"],
  ["RMSProp", "textbook", 3, "textbook", "rmsprop", "eps"],
  ["Adadelta", "PyTorch", 0, "pytorch", "Adadelta", "lr"],
  ["Adadelta", "PyTorch", 1, "pytorch", "Adadelta", "rho"],
  ["Adadelta", "PyTorch", 2, "pytorch", "Adadelta", "eps"],
  ["Adadelta", "Keras", 0, "keras", "Adadelta", "learning_rate"],
  ["Adadelta", "Keras", 1, "keras", "Adadelta", "rho"],
  ["Adadelta", "Keras", 2, "keras", "Adadelta", "epsilon"],
  ["Adadelta", "TensorFlow 1", 0, "tensorflow1", "Adadelta", "learning_rate"],
  ["Adadelta", "TensorFlow 1", 1, "tensorflow1", "Adadelta", "rho"],
  ["Adadelta", "TensorFlow 1", 2, "tensorflow1", "Adadelta", "epsilon"],
  ["Adadelta", "optax", 1, "optax", "adadelta", "rho"],
  ["Adadelta", "optax", 2, "optax", "adadelta", "eps"],
  ["Adadelta", "textbook", 1, "textbook", "adadelta", "rho"],
  ["Adadelta", "textbook", 2, "textbook", "adadelta", "eps"],
  ["Adam and AdamW", "PyTorch", 1, "pytorch", "Adam", "eps"],
  ["Adam and AdamW", "PyTorch", 2, "pytorch", "AdamW", "weight_decay"],
  ["Adam and AdamW", "Keras", 1, "keras", "Adam", "epsilon"],
  ["Adam and AdamW", "Keras", 2, "keras", "AdamW", "weight_decay"],
  ["Adam and AdamW", "TensorFlow 1", 1, "tensorflow1", "Adam", "epsilon"],
  ["Adam and AdamW", "optax", 1, "optax", "adam", "eps"],
  ["Adam and AdamW", "optax", 2, "optax", "adamw", "weight_decay"],
  ["Adam and AdamW", "textbook", 1, "textbook", "adam", "eps"],
  ["Adan", "optax", 2, "optax", "adan", "eps_root"],
  ["Nadam", "PyTorch", 1, "pytorch", "NAdam", "momentum_decay"],
  ["Nadam", "PyTorch", 3, "pytorch", "NAdam", "eps"],
  ["Nadam", "Keras", 3, "keras", "Nadam", "epsilon"],
  ["Nadam", "optax", 3, "optax", "nadam", "eps"],
  ["Nadam", "TensorFlow 1", 3, "tensorflow1", "Nadam", "epsilon"],
] as const)(
  "%s of %s, column %i, is the importer's default",
  (section, first, column, framework, optimizer, key) => {
    expect(Number(row(section, first)[column])).toBe(argument(framework, optimizer, key));
  },
);
