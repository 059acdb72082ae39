import type { BenchRow } from "./events.js";
import { measureWorkload } from "./measure.js";
import { workloads } from "./workloads.js";

window.runBench = async ({ workloads: names, ...options }) => {
  const wanted = workloads.filter(({ name }) => names.includes(name));
  const rows: BenchRow[] = [];
  for (const [index, workload] of wanted.entries())
    rows.push(
      ...(await measureWorkload(workload, options, ({ done, text }) =>
        window.reportBench({ done: (index + done) / wanted.length, text: `${workload.name}, ${text}` }),
      )),
    );
  return rows;
};
