/**
 * A terminal whose other side is the host's own: the host puts its terminal into raw mode, passes what is
 * typed on (`host_terminal_input`), and shows what the stream gives (`host_take`).
 */
import { O_NOCTTY, O_RDWR } from '../../abi/fcntl.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_write } from '../../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { U8, U16 } from '../../heap/memory.ts';
import { credentials_create, credentials_put } from '../../kernel/credentials.ts';
import { lock_tasklist, unlock_tasklist } from '../../kernel/kernel.ts';
import { Task } from '../../kernel/task.layout.ts';
import { fs_context_create, fs_context_put } from '../../vfs/fs_context.ts';
import { vfs_open } from '../../vfs/open.ts';
import { PathContext } from '../../vfs/path.ts';
import { vfs_root } from '../../vfs/root.ts';
import { Mount, VfsRoot } from '../../vfs/vfs.layout.ts';
import { give_terminal, signal_foreground } from '../tty/job_control.ts';
import { Tty } from '../tty/tty.layout.ts';
import {
  set_console,
  tty_create,
  tty_hang_up,
  tty_input,
  tty_open,
  tty_publish,
  tty_put,
  unset_console,
} from '../tty/tty.ts';
import { set_window } from '../tty/tty_ioctl.ts';
import { HOST_OUTPUT } from './hostio.layout.ts';
import { host_close, host_stream_attach } from './stream.ts';

/** The host's hold on a terminal. */
export interface HostTerminal {
  readonly tty: Ptr<'Tty'>;
  /** What programs show: take it with `host_take`. */
  readonly output: Ptr<'HostStream'>;
}

/**
 * Makes a terminal served by the host: the machine's console, and a name in /dev/pts that belongs to `uid`.
 * null when memory is exhausted.
 */
export function host_terminal_create(rows: number, columns: number, uid = 0, gid = 0): HostTerminal | null {
  const tty = tty_create();
  if (tty === 0) return null;
  const published = tty_publish(tty, uid, gid);
  const output = published ? host_stream_attach(Tty.output.get(tty), HOST_OUTPUT) : (0 as Ptr<'HostStream'>);
  if (output === 0) {
    tty_put(tty);
    return null;
  }
  const terminal = { tty, output };
  host_terminal_resize(terminal, rows, columns);
  set_console(tty);
  return terminal;
}

/**
 * Opens the terminal for reading and writing by its name in /dev/pts, so that programs find the name again; without
 * one where the tree has no /dev/pts. 0 when memory is exhausted. The reference is the caller's.
 */
export function host_terminal_open(terminal: HostTerminal): Ptr<'File'> {
  const page = heap_page_alloc();
  if (page === 0) return 0 as Ptr<'File'>;
  U8[page + bytes_write(page, `/dev/pts/${Tty.number.get(terminal.tty)}`)] = 0;
  const mount = VfsRoot.root_mount.get(vfs_root());
  const context = new PathContext();
  context.credentials = credentials_create(0, 0);
  context.fs = fs_context_create(mount, Mount.root.get(mount), 0);
  let file = -1;
  if (context.fs !== 0 && context.credentials !== 0) file = vfs_open(context, page, O_RDWR | O_NOCTTY, 0);
  if (context.fs !== 0) fs_context_put(context.fs);
  if (context.credentials !== 0) credentials_put(context.credentials);
  heap_page_free(page);
  return file > 0 ? (file as Ptr<'File'>) : tty_open(terminal.tty, O_RDWR);
}

/** Whether a program has turned to the terminal: read from it, polled it or changed its settings. */
export function host_terminal_wanted(terminal: HostTerminal): boolean {
  return Tty.wanted.load(terminal.tty) !== 0;
}

/** Makes the terminal the controlling one of a root task's session, its process group in front. */
export function host_terminal_control(terminal: HostTerminal, task: Ptr<'Task'>): void {
  lock_tasklist();
  give_terminal(terminal.tty, Task.group.get(task));
  unlock_tasklist();
}

/** Bytes typed at the host's terminal: how many were taken; the rest waits until the bell rings. */
export function host_terminal_input(terminal: HostTerminal, bytes: Uint8Array): number {
  return tty_input(terminal.tty, bytes);
}

/** Sends a signal to the process group in front. */
export function host_terminal_signal(terminal: HostTerminal, signo: number): void {
  signal_foreground(terminal.tty, signo);
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

/** The host's terminal is gone: reads end, writes fail, the session is told. */
export function host_terminal_hang_up(terminal: HostTerminal): void {
  tty_hang_up(terminal.tty);
}

/** Hangs the terminal up and ends the host's hold on it. */
export function host_terminal_close(terminal: HostTerminal): void {
  unset_console(terminal.tty);
  if (Tty.hung_up.get(terminal.tty) === 0) tty_hang_up(terminal.tty);
  host_close(terminal.output);
  tty_put(terminal.tty);
}
