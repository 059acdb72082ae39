import type { ConformanceReport } from "./report.js";

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text for XML; control characters, which XML 1.0 has no way to write, are left out. */
const escaped = (text: string) =>
  text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "")
    .replace(/[&<>"]/g, (character) => entities[character]!)
    .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);

/** The report as the JUnit XML that CI systems read: one test case each, its figures in `system-out`. */
export function toJUnit(report: ConformanceReport): string {
  const { version, adapter, browser, seconds, failed, cases } = report;
  const properties = { version, adapter, browser };
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${cases.length}" failures="${failed}" time="${seconds.toFixed(3)}">`,
    `  <testsuite name="webgpu-optim conformance" tests="${cases.length}" failures="${failed}" time="${seconds.toFixed(3)}">`,
    "    <properties>",
    ...Object.entries(properties).map(
      ([name, value]) => `      <property name="${name}" value="${escaped(value)}"/>`,
    ),
    "    </properties>",
    ...cases.flatMap(({ id, kind, rule, error, worstUlp, worstError, at }) => {
      const figures = `worst ${worstUlp} ULP, ${worstError} of 1 + |θ|${at && `; ${at}`}`;
      return [
        `    <testcase classname="${escaped(`conformance.${rule || kind}`)}" name="${escaped(id)}">`,
        ...(error === undefined ? [] : [`      <failure message="${escaped(error)}"/>`]),
        `      <system-out>${escaped(figures)}</system-out>`,
        "    </testcase>",
      ];
    }),
    "  </testsuite>",
    "</testsuites>",
  ];
  return `${lines.join("\n")}\n`;
}
