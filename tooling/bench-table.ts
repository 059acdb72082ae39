import type { BenchRow } from "../bench/events.ts";
import { fitCost } from "../bench/fit.ts";
import { formatTable } from "./table.ts";

/** Three digits at least, never as a power of ten. */
const digits = (value: number) => (value < 100 ? value.toPrecision(3) : value.toFixed(0));

function formatWorkload(rows: readonly BenchRow[]): string {
  const { workload, tensors, parameters } = rows[0]!;
  const headings = ["engine", "optimizer", "ms", "ratio", "dispatches", "objects", "MB moved", "GB/s"];
  const lines = rows.map((row) => [
    row.engine,
    row.optimizer,
    digits(row.medianMs),
    row.ratio.toFixed(2),
    String(row.dispatches),
    String(row.objectsMade),
    (row.bytesMoved / 1e6).toFixed(2),
    (row.bytesPerSecond / 1e9).toFixed(2),
  ]);
  return `\n${workload}: ${tensors} tensors, ${parameters} parameters\n${formatTable(headings, lines)}`;
}

/** What a step over an arena costs by parameters, and how far it is from that for many tensors. */
function formatCost(rows: readonly BenchRow[]): string[] {
  const cost = fitCost(rows.filter(({ tensors }) => tensors === 1));
  if (!cost) return [];
  const { step, parameter } = cost;
  const of = ({ workload, parameters, medianMs }: BenchRow) =>
    `  ${workload}: ${(medianMs / (step + parameter * parameters)).toFixed(2)} of that`;
  return [
    `\nAdam over an arena, by one tensor: ${digits(step)} ms and ${digits(1e6 * parameter)} ns a parameter.`,
    ...rows.map(of),
  ];
}

/** A table a workload, and what a step costs by them. */
export function formatRows(rows: readonly BenchRow[]): string {
  const workloads = [...new Set(rows.map(({ workload }) => workload))];
  const tables = workloads.map((name) => formatWorkload(rows.filter(({ workload }) => workload === name)));
  const arena = rows.filter(
    ({ engine, optimizer }) => engine === "webgpu-optim-arena" && optimizer === "adam",
  );
  return [...tables, ...formatCost(arena)].join("\n");
}
