import {
  type ConformanceCase,
  type ConformanceReport,
  type ConformanceSummary,
  groupOf,
  summarize,
  toJUnit,
} from "../../src/conformance/index.js";
import { figure, plainReport, seconds } from "./figures.js";
import { histogram } from "./histogram.js";

function find<T extends Element>(selector: string, type: new () => T): T {
  const element = document.querySelector(selector);
  if (element instanceof type) return element;
  throw new Error(`The page has no ${selector}.`);
}

function make(name: string, className: string, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

const button = (id: string) => find(`#${id}`, HTMLButtonElement);

/** The page as a person sees it. */
export class View {
  readonly #rule = find("#rule", HTMLSelectElement);
  readonly #failedOnly = find("#failed", HTMLInputElement);
  readonly #status = find("#status", HTMLElement);
  readonly #progress = find("#progress", HTMLProgressElement);
  #report: ConformanceReport | undefined;

  constructor(
    rules: readonly string[],
    run: (rules: readonly string[] | undefined) => void,
    stop: () => void,
  ) {
    this.#rule.append(...rules.map((name) => new Option(name)));
    // Chosen before a run it is what runs; after one, what is shown.
    button("run").onclick = () => run(this.#rule.value ? [this.#rule.value] : undefined);
    button("stop").onclick = stop;
    this.#rule.onchange = () => this.#showLines();
    this.#failedOnly.onchange = () => this.#showLines();
    button("json").onclick = () =>
      this.#download("json", "application/json", (report) => JSON.stringify(report, null, 2));
    button("junit").onclick = () => this.#download("xml", "application/xml", toJUnit);
    button("copy").onclick = () => void this.#copy();
  }

  /** A run begins. */
  begin(): void {
    this.#running(true);
    this.#say("Starting …");
    this.#progress.value = 0;
    this.#showResults(false);
  }

  /** How far it is. */
  advance(done: number, total: number, failed: number, id: string): void {
    this.#progress.value = done / total;
    this.#say(`${done} of ${total}${failed > 0 ? `, ${failed} failed` : ""}: ${id}`);
  }

  /** It is over without a report. */
  fail(message: string): void {
    this.#running(false);
    this.#say(message, true);
  }

  /** It was given up. */
  stopped(): void {
    this.#running(false);
    this.#say("Stopped.");
  }

  /** Shows what came of it. */
  show(report: ConformanceReport): void {
    this.#report = report;
    this.#running(false);
    this.#say(
      report.failed === 0
        ? `All ${report.passed} cases passed on ${report.adapter}.`
        : `${report.failed} of ${report.cases.length} cases failed on ${report.adapter}.`,
    );
    this.#showFigures(report);
    this.#showDevice(report);
    this.#showLines();
    this.#showResults(true);
  }

  #running(running: boolean): void {
    button("run").disabled = running;
    button("stop").hidden = !running;
    this.#progress.hidden = !running;
  }

  #showResults(shown: boolean): void {
    for (const id of ["figures", "rules", "take", "device", "legend"])
      find(`#${id}`, HTMLElement).hidden = !shown;
  }

  #say(text: string, bad = false): void {
    this.#status.textContent = text;
    this.#status.classList.toggle("bad", bad);
  }

  #showFigures(report: ConformanceReport): void {
    const most = (of: (one: ConformanceCase) => number) =>
      figure(report.cases.reduce((worst, one) => Math.max(worst, of(one)), 0));
    const entries: [string, string, string][] = [
      ["passed", String(report.passed), "good"],
      ["failed", String(report.failed), report.failed > 0 ? "bad" : ""],
      ["rules", String(Object.keys(report.distribution.rules).length), ""],
      ["worst ULP", most(({ worstUlp }) => worstUlp), ""],
      ["worst error", most(({ worstError }) => worstError), ""],
      ["time", seconds(report.seconds), ""],
    ];
    find("#figures", HTMLElement).replaceChildren(
      ...entries.map(([name, value, className]) =>
        make("div", "", make("dt", "", name), make("dd", className, value)),
      ),
    );
  }

  #showDevice(report: ConformanceReport): void {
    const entries: Record<string, string | number> = {
      adapter: report.adapter,
      browser: report.browser,
      ...report.limits,
    };
    find("#device dl", HTMLElement).replaceChildren(
      ...Object.entries(entries).map(([name, value]) =>
        make(
          "div",
          "",
          make("dt", "", name),
          make("dd", "", typeof value === "number" ? value.toLocaleString("en") : value),
        ),
      ),
    );
  }

  /** The rules and cases that the filter lets through. */
  #showLines(): void {
    const report = this.#report;
    if (!report) return;
    const rule = this.#rule.value;
    const shown = report.cases.filter(
      (one) => (rule === "" || one.rule === rule) && !(this.#failedOnly.checked && one.passed),
    );
    const lines = summarize(shown).map((line) => this.#line(report, line, shown));
    find("#lines", HTMLElement).replaceChildren(...lines);
    find("#nothing", HTMLElement).hidden = lines.length > 0;
  }

  #line(report: ConformanceReport, line: ConformanceSummary, shown: readonly ConformanceCase[]): HTMLElement {
    const { rule, cases, failed, worstUlp, worstError } = line;
    const counts = report.distribution.rules[rule];
    const summary = make(
      "summary",
      "row",
      make("span", "name", rule, failed > 0 ? make("span", "bad", ` ${failed} failed`) : ""),
      make("span", "number", String(cases)),
      make("span", "number", figure(worstUlp)),
      make("span", "number", figure(worstError)),
      make("span", "picture", counts ? histogram(counts, report.distribution.bounds) : ""),
    );
    const details = make("details", "", summary) as HTMLDetailsElement;
    // Some rules have more than a hundred cases: their list is made when it is looked at.
    details.addEventListener(
      "toggle",
      () => {
        const own = shown.filter((one) => groupOf(one) === rule);
        details.append(make("ul", "cases", ...own.map(caseItem)));
      },
      { once: true },
    );
    return details;
  }

  #download(extension: string, type: string, write: (report: ConformanceReport) => string): void {
    if (!this.#report) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([write(this.#report)], { type }));
    link.download = `webgpu-optim-conformance.${extension}`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  async #copy(): Promise<void> {
    if (!this.#report) return;
    const copy = button("copy");
    try {
      await navigator.clipboard.writeText(plainReport(this.#report));
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Not allowed to copy";
    }
    setTimeout(() => {
      copy.textContent = "Copy report";
    }, 2000);
  }
}

function caseItem({ id, passed, worstUlp, worstError, at, error, schedule }: ConformanceCase): HTMLElement {
  const figures = `${figure(worstUlp)} ULP, error ${figure(worstError)}${schedule ? `, schedule ${schedule}` : ""}`;
  return make(
    "li",
    "",
    make("div", "id", make("span", passed ? "good" : "bad", passed ? "✓ " : "✗ "), id),
    make("div", "detail", error ?? (at ? `${figures}; ${at}` : figures)),
  );
}
