import type { BenchProgress, BenchRequest, BenchRow } from "./events.js";
import { measureWorkload } from "./measure.js";
import { workloads } from "./workloads.js";

/** Measures one workload after the other. */
export async function runBench(
  { workloads: names, ...options }: BenchRequest,
  follow: (progress: BenchProgress) => Promise<void>,
): Promise<BenchRow[]> {
  const wanted = workloads.filter(({ name }) => names.includes(name));
  const rows: BenchRow[] = [];
  for (const [index, workload] of wanted.entries())
    rows.push(
      ...(await measureWorkload(workload, options, ({ done, text }) =>
        follow({ done: (index + done) / wanted.length, text: `${workload.name}, ${text}` }),
      )),
    );
  return rows;
}
