// The runner, which cannot load WGSL, reads this file too.
import { type ConformanceReport, summarize } from "../../src/conformance/report.js";

/** An error as people read it. */
export const figure = (value: number): string =>
  value === Number.MAX_VALUE
    ? "∞"
    : value === 0
      ? "0"
      : value < 1e-3
        ? value.toExponential(1)
        : value.toFixed(2);

/** Seconds, with a digit where that says something. */
export const seconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} s`;

/** The report as text for a message or an issue. */
export function plainReport(report: ConformanceReport): string {
  return [
    `webgpu-optim ${report.version}, conformance`,
    `Adapter: ${report.adapter}`,
    `Browser: ${report.browser}`,
    `${report.passed} passed, ${report.failed} failed in ${seconds(report.seconds)}`,
    "",
    ...summarize(report.cases).map(
      ({ rule, cases, failed, worstUlp, worstError }) =>
        `${failed === 0 ? "ok    " : "FAILED"} ${rule}: ${cases} cases, worst ${figure(worstUlp)} ULP, error ${figure(worstError)}`,
    ),
    ...report.cases.flatMap(({ id, error }) => (error === undefined ? [] : ["", `${id}: ${error}`])),
    "",
  ].join("\n");
}
