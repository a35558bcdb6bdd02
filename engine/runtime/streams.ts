/**
 * Pumps between a program's standard streams and the host's sources and sinks. `serve` moves what can be
 * moved now; the machine calls it whenever the guest or the host has changed something.
 */
import type { Ptr } from '../base/types.ts';
import { host_close, host_push, host_take } from '../fs/hostio/stream.ts';
import type { Sink, Source } from '../host/stdio.ts';

/** Chunks that wait for the guest before the source is asked to pause. */
const QUEUE_LIMIT = 4;
const TAKE_BYTES = 1 << 18;

export interface Pump {
  /** Moves bytes as far as they go now; whether it is finished for good. `last`: the program has ended. */
  serve(last?: boolean): boolean;
  /** Gives the stream up. The machine's memory is bound. */
  close(): void;
  /** Gives the host's side up and leaves the machine, which is broken or closed, alone. */
  abandon(): void;
}

/** Host to guest. */
export class InputPump implements Pump {
  private readonly stream: Ptr<'HostStream'>;
  private readonly source: Source;
  private readonly queue: Uint8Array[] = [];
  private offset = 0;
  private ended = false;
  private closed = false;
  private paused = false;

  /** `changed` is called when the source has delivered something. */
  constructor(stream: Ptr<'HostStream'>, source: Source, changed: () => void) {
    this.stream = stream;
    this.source = source;
    source.start(
      (chunk) => {
        this.queue.push(chunk);
        if (this.queue.length >= QUEUE_LIMIT && !this.paused) {
          this.paused = true;
          source.pause();
        }
        changed();
      },
      () => {
        this.ended = true;
        changed();
      },
    );
  }

  serve(): boolean {
    while (!this.closed && this.queue.length > 0) {
      const chunk = this.queue[0] as Uint8Array;
      const pushed = host_push(this.stream, chunk, this.offset);
      if (pushed < 0) {
        this.close();
        break;
      }
      this.offset += pushed;
      if (this.offset < chunk.length) return false;
      this.queue.shift();
      this.offset = 0;
    }
    if (this.ended && !this.closed) this.close();
    if (this.paused && !this.closed) {
      this.paused = false;
      this.source.resume();
    }
    return this.closed;
  }

  close(): void {
    if (this.closed) return;
    this.abandon();
    host_close(this.stream);
  }

  abandon(): void {
    this.closed = true;
    this.source.stop();
  }
}

const scratch = new Uint8Array(TAKE_BYTES);

/** Guest to host. */
export class OutputPump implements Pump {
  private readonly stream: Ptr<'HostStream'>;
  private readonly sink: Sink;
  private full = false;
  private lost = false;
  private closed = false;

  constructor(stream: Ptr<'HostStream'>, sink: Sink, changed: () => void) {
    this.stream = stream;
    this.sink = sink;
    sink.watch(
      () => {
        this.full = false;
        changed();
      },
      () => {
        this.lost = true;
        changed();
      },
    );
  }

  serve(): boolean {
    if (this.lost) this.close();
    while (!this.closed && !this.full) {
      const taken = host_take(this.stream, scratch);
      if (taken === 0) break;
      if (taken < 0) this.close();
      else if (!this.sink.write(scratch.slice(0, taken))) this.full = true;
    }
    return this.closed;
  }

  close(): void {
    if (this.closed) return;
    this.abandon();
    host_close(this.stream);
  }

  abandon(): void {
    this.closed = true;
  }
}
