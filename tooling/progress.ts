const BAR = 10;
/** Seconds between two lines where lines cannot be rewritten. */
const INTERVAL = 10;

/** What the bar shows. */
export interface ProgressState {
  /** From 0 to 1. */
  readonly done: number;
  readonly text: string;
}

/** A progress bar: one line rewritten on a terminal, a line now and then elsewhere. */
export class ProgressBar {
  readonly #rewrites = process.stdout.isTTY === true;
  #lastLine = -Infinity;
  #shown = false;

  update({ done, text }: ProgressState): void {
    const line = `${bar(done)} ${(100 * done).toFixed(0).padStart(3)} % ${text}`;
    if (this.#rewrites) {
      // A line longer than the terminal would wrap and could not be rewritten.
      process.stdout.write(`\r\x1b[2K${line.slice(0, (process.stdout.columns || 80) - 1)}`);
      this.#shown = true;
      return;
    }
    const now = performance.now();
    if (now - this.#lastLine < INTERVAL * 1000) return;
    this.#lastLine = now;
    console.log(line);
  }

  /** Takes the bar away, so that ordinary lines can be printed. */
  clear(): void {
    if (this.#shown) process.stdout.write("\r\x1b[2K");
    this.#shown = false;
  }
}

function bar(done: number): string {
  const full = Math.round(BAR * done);
  return `[${"█".repeat(full)}${"·".repeat(BAR - full)}]`;
}

/** Seconds as `1:05` or `2:03:04`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}:${two(whole % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}
