/**
 * A terminal whose other side is the host's own: the host puts its terminal into raw mode, passes what is
 * typed on (`host_terminal_input`), and shows what the stream gives (`host_take`).
 */
import type { Ptr } from '../../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { U16 } from '../../heap/memory.ts';
import { lock_tasklist, unlock_tasklist } from '../../kernel/kernel.ts';
import { Task } from '../../kernel/task.layout.ts';
import { give_terminal } from '../tty/job_control.ts';
import { Tty } from '../tty/tty.layout.ts';
import { set_console, tty_create, tty_hang_up, tty_input, tty_put } from '../tty/tty.ts';
import { set_window } from '../tty/tty_ioctl.ts';
import { HOST_OUTPUT } from './hostio.layout.ts';
import { host_close, host_stream_attach } from './stream.ts';

/** The host's hold on a terminal. */
export interface HostTerminal {
  readonly tty: Ptr<'Tty'>;
  /** What programs show: take it with `host_take`. */
  readonly output: Ptr<'HostStream'>;
}

/** Makes a terminal served by the host, the machine's console; null when memory is exhausted. */
export function host_terminal_create(rows: number, columns: number): HostTerminal | null {
  const tty = tty_create();
  if (tty === 0) return null;
  const output = host_stream_attach(Tty.output.get(tty), HOST_OUTPUT);
  if (output === 0) {
    tty_put(tty);
    return null;
  }
  const terminal = { tty, output };
  host_terminal_resize(terminal, rows, columns);
  set_console(tty);
  return terminal;
}

/** Makes the terminal the controlling one of a root task's session, its process group in front. */
export function host_terminal_control(terminal: HostTerminal, task: Ptr<'Task'>): void {
  lock_tasklist();
  give_terminal(terminal.tty, Task.group.get(task));
  unlock_tasklist();
}

/** Bytes typed at the host's terminal. */
export function host_terminal_input(terminal: HostTerminal, bytes: Uint8Array): void {
  tty_input(terminal.tty, bytes);
}

/** The host's window has this size now; the guest's foreground gets SIGWINCH when it changed. */
export function host_terminal_resize(terminal: HostTerminal, rows: number, columns: number): void {
  const page = heap_page_alloc();
  if (page === 0) return;
  U16.fill(0, page >> 1, (page >> 1) + 4);
  U16[page >> 1] = rows;
  U16[(page >> 1) + 1] = columns;
  set_window(terminal.tty, page);
  heap_page_free(page);
}

/** The host's terminal is gone, or the machine ends. */
export function host_terminal_close(terminal: HostTerminal): void {
  set_console(0 as Ptr<'Tty'>);
  tty_hang_up(terminal.tty);
  host_close(terminal.output);
  tty_put(terminal.tty);
}
