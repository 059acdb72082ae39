import { readTrajectories, type Trajectory, type VectorFile } from "../../src/conformance/index.js";

const files = import.meta.glob<string>("./*/{optimizers,schedules}/*.json", {
  eager: true,
  query: "?raw",
  import: "default",
});

/** Every file beside this one, in Node and in the page alike. */
export const vectorFiles: readonly VectorFile[] = Object.entries(files).map(([file, text]) => ({
  file,
  text,
}));

/** Their runs. */
export const trajectories: readonly Trajectory[] = vectorFiles.flatMap(({ file, text }) =>
  file.includes("/optimizers/") ? readTrajectories(JSON.parse(text), file) : [],
);
