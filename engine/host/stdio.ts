/**
 * The caller's standard streams, and buffers in their place, as sources and sinks of a program's streams.
 * All of it runs on the event loop of the thread that owns the machine.
 */

/** Where a program's input comes from. */
export interface Source {
  /** Begins to deliver: `data` with each chunk, `end` once. */
  start(data: (chunk: Uint8Array) => void, end: () => void): void;
  /** Asks for no more, or for more again. */
  pause(): void;
  resume(): void;
  /** No more is wanted. */
  stop(): void;
}

/** Where a program's output goes. */
export interface Sink {
  /** Takes a chunk (a copy that it may keep); false when it wants `drained` to be called before the next. */
  write(chunk: Uint8Array): boolean;
  /** Says what to call when it can take more, and when it is gone. */
  watch(drained: () => void, gone: () => void): void;
  /** Resolves when everything has been handed over. */
  finish(): Promise<void>;
  /** Nothing more is written, finished or not: lets go of the stream. */
  release(): void;
}

/** The bytes given, then the end. */
export function buffer_source(bytes: Uint8Array): Source {
  return {
    start(data, end) {
      if (bytes.length > 0) data(bytes);
      end();
    },
    pause() {},
    resume() {},
    stop() {},
  };
}

/** A Node readable stream; the caller's own standard input by default. */
export function stream_source(stream: NodeJS.ReadableStream = process.stdin): Source {
  let on_data = (_chunk: Buffer | string): void => {};
  let on_end = (): void => {};
  return {
    start(data, end) {
      on_data = (chunk) => data(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
      on_end = end;
      stream.on('data', on_data);
      stream.once('end', on_end);
      stream.once('error', on_end);
    },
    pause() {
      stream.pause();
    },
    resume() {
      stream.resume();
    },
    stop() {
      stream.off('data', on_data);
      stream.off('end', on_end);
      stream.off('error', on_end);
      stream.pause();
      (stream as { unref?: () => void }).unref?.();
    },
  };
}

/** Keeps everything; `bytes` is what came. */
export class BufferSink implements Sink {
  private readonly chunks: Uint8Array[] = [];
  write(chunk: Uint8Array): boolean {
    this.chunks.push(chunk);
    return true;
  }
  watch(): void {}
  async finish(): Promise<void> {}
  release(): void {}
  bytes(): Uint8Array {
    return Buffer.concat(this.chunks);
  }
}

/** A Node writable stream, such as the caller's own standard output. */
export function stream_sink(stream: NodeJS.WritableStream): Sink {
  let gone = false;
  let on_gone = (): void => {};
  let on_drain = (): void => {};
  // A reader that goes away is the guest's EPIPE, not an error of this process.
  const failed = (): void => {
    gone = true;
    on_gone();
  };
  const drained = (): void => on_drain();
  stream.on('error', failed);
  return {
    write(chunk) {
      return gone || stream.write(chunk);
    },
    watch(drain, lost) {
      on_drain = drain;
      on_gone = lost;
      stream.on('drain', drained);
    },
    finish() {
      return new Promise((resolve) => {
        if (gone) resolve();
        else stream.write('', () => resolve());
      });
    },
    release() {
      stream.off('drain', drained);
      // The error of a write that has just failed is told a moment after its callback.
      setImmediate(() => stream.off('error', failed));
    },
  };
}

/** The caller's standard output or error. */
export function caller_sink(fd: 1 | 2): Sink {
  return stream_sink(fd === 1 ? process.stdout : process.stderr);
}
