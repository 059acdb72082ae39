export { record } from "../../src/conformance/record.js";
