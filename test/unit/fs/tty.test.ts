import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EIO, ENOTTY, ENXIO } from '../../../engine/abi/errno.ts';
import { O_RDWR } from '../../../engine/abi/fcntl.ts';
import { TCFLSH, TCGETS, TCSETS, TCSETSF, TIOCGPGRP, TIOCGWINSZ, TIOCSPGRP } from '../../../engine/abi/ioctl.ts';
import { POLLHUP, POLLIN } from '../../../engine/abi/poll.ts';
import { SIGINT } from '../../../engine/abi/signal.ts';
import { make_dev, S_IFCHR } from '../../../engine/abi/stat.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { pipe_slab } from '../../../engine/fs/anon/pipe.ts';
import { bell_count, host_streams, host_take } from '../../../engine/fs/hostio/stream.ts';
import {
  type HostTerminal,
  host_terminal_close,
  host_terminal_control,
  host_terminal_create,
  host_terminal_input,
  host_terminal_resize,
} from '../../../engine/fs/hostio/terminal.ts';
import { tty_open, tty_slab } from '../../../engine/fs/tty/tty.ts';
import { fd_install } from '../../../engine/kernel/fd_table.ts';
import { PendingSignals } from '../../../engine/kernel/signal.layout.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { ThreadGroup } from '../../../engine/kernel/thread_group.layout.ts';
import { file_operations } from '../../../engine/vfs/file.ts';
import { ASLEEP, call, peek, peek_words, poke, resume, user_pages, words } from '../../support/calls.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

let k: TestKernel;
let at = 0;
let terminal: HostTerminal;
let file = 0 as Ptr<'File'>;

function setup(): void {
  k = test_kernel();
  at = user_pages(k, 8);
  terminal = host_terminal_create(24, 80) as HostTerminal;
  host_terminal_control(terminal, k.task);
  file = tty_open(terminal.tty, O_RDWR);
  assert.is(fd_install(k.files, file, 0), 0);
}

function type(text: string): void {
  host_terminal_input(
    terminal,
    Uint8Array.from(text, (c) => c.charCodeAt(0)),
  );
}

function shown(): string {
  const bytes = new Uint8Array(4096);
  const n = host_take(terminal.output, bytes);
  return String.fromCharCode(...bytes.subarray(0, Math.max(0, n)));
}

function read(length = 1000): string | number {
  const n = call('read', 0, at, length);
  return typeof n === 'number' && n >= 0 ? peek(at, n) : n;
}

function set_flags(change: (flags: number[]) => void, minimum: number): void {
  assert.is(call('ioctl', 0, TCGETS, at), 0);
  const flags = peek_words(at, 4);
  change(flags);
  const rest = peek(at + 16, 20).split('');
  rest[1 + 6] = String.fromCharCode(minimum);
  poke(at, words(...flags) + rest.join(''));
  assert.is(call('ioctl', 0, TCSETS, at), 0);
}

function pending(): number {
  return PendingSignals.set.lo(ThreadGroup.pending.at(Task.group.get(k.task)));
}

test('a line is read when it is complete, and can be edited before', () => {
  setup();
  assert.is(call('read', 0, at, 100), ASLEEP);
  type('hellp');
  assert.is(file_operations(file).poll(file) & POLLIN, 0);
  type('\x7fo wrong\x17you\r');
  assert.is(resume(), 10);
  assert.is(peek(at, 10), 'hello you\n');
  assert.is(shown(), `hellp\b \bo wrong${'\b \b'.repeat(5)}you\r\n`);
  type('junk\x15one\ntwo\n');
  assert.is(read(2), 'on');
  assert.is(read(), 'e\n');
  assert.is(read(), 'two\n');
  type('half\x04');
  assert.is(read(), 'half');
  type('\x04');
  assert.is(read(), '');
});

test('what is written is processed and shown', () => {
  setup();
  assert.is(call('write', 0, poke(at, 'a\nb'), 3), 3);
  assert.is(shown(), 'a\r\nb');
  set_flags((flags) => {
    flags[1] = 0;
  }, 1);
  assert.is(call('write', 0, poke(at, 'a\nb'), 3), 3);
  assert.is(shown(), 'a\nb');
});

test('raw mode gives bytes as they come', () => {
  setup();
  set_flags((flags) => {
    flags[3] = 0;
    flags[0] = 0;
  }, 1);
  assert.is(call('read', 0, at, 10), ASLEEP);
  type('\x03\r');
  assert.is(resume(), 2);
  assert.is(peek(at, 2), '\x03\r');
  assert.is(shown(), '');
  assert.is(pending(), 0);
  set_flags(() => {}, 0);
  assert.is(read(), '');
});

test('signals and window changes reach the foreground group', () => {
  setup();
  type('x\x03');
  assert.is(pending(), 1 << (SIGINT - 1));
  assert.is(shown(), 'x^C');
  host_terminal_resize(terminal, 50, 100);
  // SIGWINCH is ignored by default and then not kept.
  assert.is(pending(), 1 << (SIGINT - 1));
  assert.is(call('ioctl', 0, TIOCGWINSZ, at), 0);
  assert.equal(peek_words(at, 2), [50 | (100 << 16), 0]);
});

test('a job in the background is kept from reading', () => {
  setup();
  const pid = Task.tid.get(k.task);
  assert.is(call('ioctl', 0, TIOCGPGRP, at), 0);
  assert.equal(peek_words(at, 1), [pid]);
  poke(at, words(pid + 7));
  assert.is(call('ioctl', 0, TIOCSPGRP, at), -3);
  assert.is(call('ioctl', 0, 0x1234, at), -ENOTTY);
});

test('/dev/tty is the session terminal', () => {
  setup();
  k.space.mknod('/tty', S_IFCHR | 0o666, make_dev(5, 0));
  const opened = k.space.open('/tty', O_RDWR);
  assert.ok(opened > 0);
  assert.is(k.space.write(opened, -1, 'hi'), 2);
  assert.is(shown(), 'hi');
  k.space.put(opened);
  k.space.mknod('/none', S_IFCHR | 0o666, make_dev(99, 0));
  assert.is(k.space.open('/none', O_RDWR), -ENXIO);
});

test('a full terminal takes nothing, rings nobody, and tells when a flush makes room', () => {
  setup();
  const line = new Uint8Array(4096 + 5).fill(65);
  for (let i = 9; i < line.length; i += 10) line[i] = 10;
  assert.is(host_terminal_input(terminal, line), 4095);
  for (const flush of [
    () => call('ioctl', 0, TCFLSH, 0),
    () => {
      assert.is(call('ioctl', 0, TCGETS, at), 0);
      return call('ioctl', 0, TCSETSF, at);
    },
  ]) {
    const full = bell_count();
    assert.is(host_terminal_input(terminal, line), 0);
    assert.is(bell_count(), full);
    assert.is(flush(), 0);
    assert.ok(bell_count() > full);
    assert.is(host_terminal_input(terminal, line), 4095);
  }
  // Line by line: the bell rings once there is room worth typing for.
  const full = bell_count();
  for (let i = 0; i < 12; i++) assert.is(read(), 'AAAAAAAAA\n');
  assert.is(bell_count(), full);
  assert.is(host_terminal_input(terminal, line), 0);
  assert.is(read(), 'AAAAAAAAA\n');
  assert.is(bell_count(), full + 1);
});

test('a terminal that goes away ends reads and fails writes', () => {
  setup();
  assert.is(call('read', 0, at, 10), ASLEEP);
  host_terminal_close(terminal);
  const n = resume();
  assert.ok(n === 0 || n === -512 || n === -4, String(n));
  assert.is(file_operations(file).poll(file) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
  assert.is(call('write', 0, at, 1), -EIO);
  call('close', 0);
  assert.is(tty_slab.live() + pipe_slab.live() + host_streams.live(), 0);
});

test.run();
