// What the package's types say of its rules: named options with their words, defaults and ranges, in place of what the
// compiler infers; and no declaration that no entry leads to. Runs at the end of the build.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const entries = Object.values(exports).flatMap(({ types }) => (types ? [join(root, types)] : []));

/** What options of these names are wherever a rule says nothing else. */
const WORDS = {
  beta1: "β1 of the formula, a decay rate.",
  beta2: "β2 of the formula, a decay rate.",
  biasCorrection: "Whether averages are corrected for their start at zero.",
  eps: "ε of the formula, against division by zero.",
  epsInside: "Whether ε joins the average inside the root instead of beside it.",
  initialAccumulatorValue: "What the sum of squares begins with.",
  momentum: "Momentum μ.",
  nesterov: "Whether the momentum is Nesterov's.",
  rho: "ρ of the formula, a decay rate.",
};

/** A comment of some paragraphs. */
function comment(paragraphs, indent) {
  const lines = paragraphs.filter(Boolean).join("\n\n").replaceAll("*/", "* /").split("\n");
  if (lines.length === 1) return `${indent}/** ${lines[0]} */`;
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`].join("\n");
}

/** Default and range of an option. */
function bounds(spec) {
  const preset = spec.default === undefined ? "Must be given" : `Default \`${JSON.stringify(spec.default)}\``;
  if (spec.kind !== "number") return `${preset}.`;
  const { min, max, exclusiveMin, exclusiveMax, whole } = spec;
  const least = `${exclusiveMin ? "above" : "at least"} ${min}`;
  const most = max === Infinity ? "" : `${exclusiveMax ? ", below" : ", at most"} ${max}`;
  return `${preset}; ${whole ? "a whole number, " : ""}${least}${most}.`;
}

const wordsOf = (checker, symbol) => ts.displayPartsToString(symbol?.getDocumentationComment(checker));

/** The declaration of a factory, with an interface for its options. */
function declare(checker, common, { name }, row) {
  const [options] = checker.getTypeArguments(checker.getTypeAtLocation(name));
  // The rate, what is the rule's own, and what every rule has.
  const place = ({ name }) => (name === "lr" ? 0 : common.getProperty(name) ? 2 : 1);
  const properties = options.getProperties().sort((a, b) => place(a) - place(b));
  const members = properties.map((symbol) => {
    const words =
      wordsOf(checker, symbol) || wordsOf(checker, common.getProperty(symbol.name)) || WORDS[symbol.name];
    if (!words) throw new Error(`Option '${symbol.name}' of ${row.name} has no doc comment`);
    const type = checker.typeToString(
      checker.getTypeOfSymbol(symbol),
      undefined,
      ts.TypeFormatFlags.NoTruncation,
    );
    const said = comment([words, bounds(row.options[symbol.name])], "  ");
    return `${said}\n  readonly ${symbol.name}: ${type};`;
  });
  const words = wordsOf(checker, checker.getSymbolAtLocation(name));
  const title = `${name.text[0].toUpperCase()}${name.text.slice(1)}Options`;
  return [
    comment([`Options of {@link ${name.text}}.`], ""),
    `export interface ${title} {\n${members.join("\n")}\n}`,
    comment([words, `\`${row.formula}\``, `Source: ${row.source}.`], ""),
    `export declare const ${name.text}: RuleFactory<${title}>;`,
  ].join("\n");
}

const { config } = ts.readConfigFile(join(root, "tsconfig.build.json"), ts.sys.readFile);
const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
const program = ts.createProgram(fileNames, options);
const checker = program.getTypeChecker();
const [common] = program
  .getSourceFile(join(root, "src/rule.ts"))
  .statements.filter(ts.isVariableStatement)
  .flatMap(({ declarationList: { declarations } }) => declarations)
  .filter(({ name }) => name.text === "commonOptions")
  .map((declaration) => checker.getTypeAtLocation(declaration));
const library = await import(pathToFileURL(join(dist, "index.js")).href);

/** Where a statement declares nothing but a rule: that. */
function ruleOf(statement) {
  if (!ts.isVariableStatement(statement)) return undefined;
  const [declaration] = statement.declarationList.declarations;
  return library[declaration.name.text]?.row && declaration;
}

const rules = join(root, "src/rules");
for (const file of readdirSync(rules)) {
  const path = join(dist, "rules", file.replace(/\.ts$/, ".d.ts"));
  const words = program.getSourceFile(join(rules, file)).statements.flatMap((one) => ruleOf(one) ?? []);
  const compiled = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.ES2022);
  const texts = words.map((one) => declare(checker, common, one, library[one.name.text].row));
  const others = compiled.statements.filter((one) => !ruleOf(one) && !ts.isExportDeclaration(one));
  const kept = others.some((one) => !ts.isImportDeclaration(one))
    ? others.map((one) => one.getFullText(compiled).trim())
    : [];
  writeFileSync(
    path,
    `${['import type { RuleFactory } from "../rule.js";', ...kept, ...texts].join("\n")}\n`,
  );
}

const reached = new Set();
const reach = (path) => {
  if (reached.has(path) || !existsSync(path)) return;
  reached.add(path);
  for (const [, from] of readFileSync(path, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)\.js"/g))
    reach(resolve(dirname(path), `${from}.d.ts`));
};
for (const entry of entries) reach(entry);
for (const name of readdirSync(dist, { recursive: true })) {
  const path = join(dist, name);
  if (name.endsWith(".d.ts") && !reached.has(path)) rmSync(path);
}
