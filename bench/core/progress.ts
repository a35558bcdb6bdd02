/** A line on standard error about what is going on: once it has taken two seconds, on a terminal in place. */

const QUIET_MS = 2000;
/** How often a line is printed where the output is not a terminal. */
const INTERVAL_MS = 10_000;

export class Progress {
  private readonly start = performance.now();
  private last = 0;
  private shown = false;
  private readonly stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.stream = stream;
  }

  update(text: string): void {
    const now = performance.now() - this.start;
    if (now < QUIET_MS) return;
    const line = `${(now / 1000).toFixed(0)} s: ${text}`;
    if (this.stream.isTTY === true) {
      this.stream.write(`\r\x1b[K${line.slice(0, this.stream.columns - 1)}`);
      this.shown = true;
    } else if (now - this.last >= INTERVAL_MS || this.last === 0) {
      this.stream.write(`${line}\n`);
      this.last = now;
    }
  }

  /** Takes the line away, before something else is printed. */
  clear(): void {
    if (this.shown) this.stream.write('\r\x1b[K');
    this.shown = false;
  }
}
