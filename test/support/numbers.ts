export { gradients, normals, ulp } from "../../src/conformance/numbers.js";
