/**
 * The caller's own terminal. It is left alone until a program turns to it: until then keys such as Ctrl-Z
 * are the caller's job control. From then on it is raw: every key is the guest's.
 */
import { closeSync, openSync } from 'node:fs';
import { isatty, ReadStream, WriteStream } from 'node:tty';
import { load_builtin } from './builtin.ts';
import type { Sink, Source } from './stdio.ts';
import { stream_sink } from './stdio.ts';

/** Rows and columns of a terminal. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

const DEFAULT_SIZE: WindowSize = { rows: 24, columns: 80 };

/** Which of the caller's standard input, output and error are terminals. */
export function caller_terminals(): readonly [boolean, boolean, boolean] {
  return [isatty(0), isatty(1), isatty(2)];
}

/** A stream over the controlling terminal, where the standard ones lead elsewhere; null: there is none. */
function open_own<S>(flags: string, make: (fd: number) => S): S | null {
  let fd = -1;
  try {
    fd = openSync('/dev/tty', flags);
    return make(fd);
  } catch {
    if (fd >= 0) closeSync(fd);
    return null;
  }
}

let shown_on: WriteStream | null | undefined;

/** Where the terminal shows: standard output or error, or the controlling terminal. */
function output_stream(): WriteStream | null {
  if (shown_on === undefined) {
    if (isatty(1)) shown_on = process.stdout as WriteStream;
    else if (isatty(2)) shown_on = process.stderr as WriteStream;
    else shown_on = open_own('w', (fd) => new WriteStream(fd));
  }
  return shown_on;
}

/** The window's size; 24 by 80 where the terminal does not say. */
export function caller_window(): WindowSize {
  const [columns, rows] = output_stream()?.getWindowSize() ?? [0, 0];
  return columns > 0 && rows > 0 ? { rows, columns } : DEFAULT_SIZE;
}

/** Calls `changed` whenever the window's size has changed; answers what ends that. */
export function watch_window(changed: (size: WindowSize) => void): () => void {
  const stream = output_stream();
  const listener = (): void => changed(caller_window());
  stream?.on('resize', listener);
  return () => {
    stream?.off('resize', listener);
  };
}

/** What is shown goes there. */
export function terminal_sink(): Sink {
  const stream = output_stream();
  return stream === null ? stream_sink(process.stderr) : stream_sink(stream);
}

/**
 * Raw mode of Node leaves the processing of output on, which would turn each line feed into two characters;
 * where there is an stty(1), it is turned off. Node restores the whole setting.
 */
function pass_output(stream: ReadStream): void {
  const { fd } = stream as unknown as { fd: number };
  load_builtin('node:child_process').spawnSync('stty', ['-opost'], { stdio: [fd, 'ignore', 'ignore'] });
}

/** What is typed: raw from `start` to `stop`, and when the process has been stopped and goes on. */
export function terminal_source(): Source {
  let stream: ReadStream | null = null;
  const raw = (): void => {
    stream?.setRawMode(true);
    if (stream !== null) pass_output(stream);
  };
  const restore = (): void => {
    stream?.setRawMode(false);
  };
  const again = (): void => {
    restore();
    raw();
  };
  return {
    start(data, end) {
      stream = isatty(0) ? (process.stdin as ReadStream) : open_own('r', (fd) => new ReadStream(fd));
      if (stream === null) return;
      stream.on('data', (chunk: Buffer) => data(chunk));
      stream.once('end', end);
      stream.once('error', end);
      raw();
      process.on('exit', restore);
      process.on('SIGCONT', again);
    },
    pause() {
      stream?.pause();
    },
    resume() {
      stream?.resume();
    },
    stop() {
      if (stream === null) return;
      process.off('exit', restore);
      process.off('SIGCONT', again);
      restore();
      stream.removeAllListeners('data');
      stream.pause();
      stream.unref();
      stream = null;
    },
  };
}
