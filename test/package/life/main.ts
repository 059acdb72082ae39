// A life of optimizers, for whoever listens to the console of the page.
import { requestDevice } from "../../../src/index.js";
import { live } from "./life.js";

declare global {
  interface Window {
    live(): Promise<void>;
  }
}

window.live = async () => live(await requestDevice());
