/** What an adapter is called. */
export interface NamedAdapter {
  /** Its name, and `(software)` or `(hardware)`. */
  readonly adapter: string;
  /** Whether it computes on the CPU. */
  readonly software: boolean;
}

/** Names of the adapter that a host gives; undefined where there is none. Runs in pages too, by its text alone. */
export async function describeAdapter(gpu: GPU | undefined): Promise<NamedAdapter | undefined> {
  const info = (await gpu?.requestAdapter())?.info;
  if (!info) return undefined;
  const name = [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(" ");
  const software = info.isFallbackAdapter || /swiftshader|llvmpipe/i.test(name);
  return { adapter: `${name || "unnamed adapter"} (${software ? "software" : "hardware"})`, software };
}
