/** Pump between a program's terminal and the host's: what is typed and what is shown. */
import { host_take } from '../fs/hostio/stream.ts';
import {
  type HostTerminal,
  host_terminal_close,
  host_terminal_hang_up,
  host_terminal_input,
  host_terminal_wanted,
} from '../fs/hostio/terminal.ts';
import type { Sink, Source } from '../host/stdio.ts';
import type { Pump } from './streams.ts';

const TAKE_BYTES = 1 << 16;
/** Bytes that wait for the guest before the source is asked to pause. */
const QUEUE_BYTES = 1 << 16;

const scratch = new Uint8Array(TAKE_BYTES);

/** The source is started when a program turns to the terminal; its end is the terminal's hang-up. */
export class TerminalPump implements Pump {
  readonly terminal: HostTerminal;
  private readonly source: Source;
  private readonly sink: Sink;
  private readonly changed: () => void;
  private typed: Uint8Array[] = [];
  private waiting = 0;
  private started = false;
  private ended = false;
  private full = false;
  private paused = false;
  private closed = false;

  /** `changed` is called when source or sink have moved. */
  constructor(terminal: HostTerminal, source: Source, sink: Sink, changed: () => void) {
    this.terminal = terminal;
    this.source = source;
    this.sink = sink;
    this.changed = changed;
    const lost = (): void => {
      // Nobody is there to see: what is still to be typed goes too.
      this.typed = [];
      this.ended = true;
      changed();
    };
    sink.watch(() => {
      this.full = false;
      changed();
    }, lost);
  }

  serve(last = false): boolean {
    if (this.closed) return true;
    if (!this.started && host_terminal_wanted(this.terminal)) this.start();
    this.type();
    if (this.ended && this.typed.length === 0) {
      this.ended = false;
      host_terminal_hang_up(this.terminal);
    }
    const shown = this.show();
    if (last && shown) this.close();
    return this.closed;
  }

  private start(): void {
    this.started = true;
    this.source.start(
      (chunk) => {
        this.typed.push(chunk);
        this.waiting += chunk.length;
        if (this.waiting >= QUEUE_BYTES && !this.paused) {
          this.paused = true;
          this.source.pause();
        }
        this.changed();
      },
      () => {
        this.ended = true;
        this.changed();
      },
    );
  }

  private type(): void {
    for (let chunk = this.typed[0]; chunk !== undefined; chunk = this.typed[0]) {
      const taken = host_terminal_input(this.terminal, chunk);
      this.waiting -= taken;
      if (taken < chunk.length) {
        this.typed[0] = chunk.subarray(taken);
        return;
      }
      this.typed.shift();
    }
    if (!this.paused) return;
    this.paused = false;
    this.source.resume();
  }

  /** Whether everything has been shown. */
  private show(): boolean {
    while (!this.full) {
      const taken = host_take(this.terminal.output, scratch);
      if (taken <= 0) return true;
      if (!this.sink.write(scratch.slice(0, taken))) this.full = true;
    }
    return false;
  }

  close(): void {
    if (this.closed) return;
    this.abandon();
    host_terminal_close(this.terminal);
  }

  abandon(): void {
    this.closed = true;
    this.source.stop();
  }
}
