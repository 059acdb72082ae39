import { runBench } from "./run.js";

window.runBench = (request) => runBench(request, (progress) => window.reportBench(progress));
