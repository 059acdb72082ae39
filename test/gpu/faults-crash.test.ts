// The GPU process crashes, which loses every device of the browser.
import { cdp } from "vitest/browser";
import { describeLoss } from "../support/loss.js";

describeLoss(async (device) => {
  await cdp().send("Browser.crashGpuProcess");
  await device.lost;
}, "unknown");
