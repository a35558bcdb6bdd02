/** What calls on a terminal wait for, and what wakes them. The expected results are those of Linux's pseudo-terminals. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { O_NONBLOCK, O_RDWR } from '../../../engine/abi/fcntl.ts';
import { TCGETS, TCSETS, TCXONC } from '../../../engine/abi/ioctl.ts';
import { POLLIN, POLLOUT } from '../../../engine/abi/poll.ts';
import { make_dev, S_IFCHR } from '../../../engine/abi/stat.ts';
import { ICANON, ISIG, IXON, TOSTOP, VMIN, VTIME } from '../../../engine/abi/termios.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import {
  type HostTerminal,
  host_terminal_control,
  host_terminal_create,
  host_terminal_input,
} from '../../../engine/fs/hostio/terminal.ts';
import { PTMX_MAJOR, PTMX_MINOR } from '../../../engine/fs/tty/ptmx.ts';
import { Tty } from '../../../engine/fs/tty/tty.layout.ts';
import { tty_open } from '../../../engine/fs/tty/tty.ts';
import { tty_ioctl } from '../../../engine/fs/tty/tty_ioctl.ts';
import { fd_install } from '../../../engine/kernel/fd_table.ts';
import { wake_task } from '../../../engine/kernel/scheduler.ts';
import { Task, WORK_SIGNAL } from '../../../engine/kernel/task.layout.ts';
import { advance_virtual } from '../../../engine/time/clock.ts';
import { timers_run } from '../../../engine/time/timer.ts';
import { File } from '../../../engine/vfs/file.layout.ts';
import { file_operations } from '../../../engine/vfs/file.ts';
import { ASLEEP, call, is_awake, peek, peek_words, poke, resume, user_pages, words } from '../../support/calls.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

const TCOOFF = 0;
const TCOON = 1;
const STOP = '\x13';
const START = '\x11';

let k: TestKernel;
let buffer = 0;
let settings = 0;
let terminal: HostTerminal;
let file = 0 as Ptr<'File'>;

function setup(): void {
  k = test_kernel();
  buffer = user_pages(k, 2);
  settings = buffer + 4096;
  terminal = host_terminal_create(24, 80) as HostTerminal;
  host_terminal_control(terminal, k.task);
  file = tty_open(terminal.tty, O_RDWR);
  assert.is(fd_install(k.files, file, 0), 0);
}

function type(text: string): void {
  host_terminal_input(terminal, new TextEncoder().encode(text));
}

interface Mode {
  readonly canonical?: boolean;
  readonly flow?: boolean;
  readonly stops?: boolean;
  readonly minimum?: number;
  readonly time?: number;
}

/** Changes settings as another task would: without a trace in the call that the test's task sleeps in. */
function set_mode({ canonical = false, flow = true, stops = false, minimum = 1, time = 0 }: Mode): void {
  assert.is(tty_ioctl(terminal.tty, TCGETS, settings), 0);
  const [, oflag, cflag] = peek_words(settings, 4) as [number, number, number];
  const rest = peek(settings + 16, 20).split('');
  rest[1 + VMIN] = String.fromCharCode(minimum);
  rest[1 + VTIME] = String.fromCharCode(time);
  const lflag = ISIG | (canonical ? ICANON : 0) | (stops ? TOSTOP : 0);
  poke(settings, words(flow ? IXON : 0, oflag, cflag, lflag) + rest.join(''));
  assert.is(tty_ioctl(terminal.tty, TCSETS, settings), 0);
}

function pass(ns: number): void {
  advance_virtual(ns);
  timers_run();
}

/** Goes on with the read if it was woken: what it has read, or ASLEEP. */
function goes_on(): number | string {
  const n = is_awake() ? resume() : ASLEEP;
  return typeof n === 'number' && n >= 0 ? peek(buffer, n) : n;
}

const LINES: Mode = { canonical: true };

/** Settings, bytes typed and wanted, new settings; what is typed then, with what the read has answered after it. */
const READS: readonly [string, Mode, string, number, Mode, readonly [string, string][]][] = [
  ['fewer bytes of one wanted', { minimum: 75 }, '', 1, { minimum: 0 }, [['x', 'x']]],
  // biome-ignore format: a row a case
  ['fewer bytes', { minimum: 2 }, '', 10, { minimum: 0 }, [['x', ASLEEP], ['yz', 'xyz']]],
  ['fewer bytes, one there', { minimum: 3 }, 'p', 10, {}, [['xy', 'pxy']]],
  ['lines, then no waiting', LINES, '', 10, { minimum: 0 }, [['x', 'x']]],
  ['lines, then bytes', LINES, '', 10, { minimum: 3 }, [['x', 'x']]],
  ['half a line, then bytes', LINES, 'p', 10, { minimum: 3 }, [['', 'p']]],
  // biome-ignore format: a row a case
  ['bytes, then lines', { minimum: 3 }, 'p', 10, LINES, [['x', ASLEEP], ['yz\n', 'pxyz\n']]],
];

for (const [name, before, there, wanted, after, then] of READS)
  test(`a read waits as it began, and takes what the mode says: ${name}`, () => {
    setup();
    set_mode(before);
    type(there);
    assert.is(call('read', 0, buffer, wanted), ASLEEP);
    set_mode(after);
    assert.ok(is_awake(), 'a change of settings wakes');
    if (then[0]?.[0] !== '') assert.is(goes_on(), ASLEEP);
    for (const [typed, read] of then) {
      type(typed);
      assert.is(goes_on(), read, typed);
    }
  });

test('without VTIME there is something to read from VMIN bytes on', () => {
  setup();
  const readable = (): boolean => (file_operations(file).poll(file) & POLLIN) !== 0;
  set_mode({ minimum: 3 });
  type('p');
  assert.not(readable());
  set_mode({ minimum: 3, time: 1 });
  assert.ok(readable());
  set_mode({ minimum: 1 });
  assert.ok(readable());
  set_mode({ minimum: 0 });
  assert.ok(readable());
});

test('a read for VMIN bytes ends VTIME after the last one', () => {
  setup();
  set_mode({ minimum: 5, time: 2 });
  assert.is(call('read', 0, buffer, 10), ASLEEP);
  pass(1e9);
  assert.is(goes_on(), ASLEEP);
  for (const typed of 'ab') {
    type(typed);
    assert.is(goes_on(), ASLEEP);
    pass(1.5e8);
    assert.is(goes_on(), ASLEEP);
  }
  pass(1e8);
  assert.is(goes_on(), 'ab');
});

test('a read that may not wait takes fewer than VMIN bytes', () => {
  setup();
  set_mode({ minimum: 3 });
  type('p');
  File.flags.set(file, O_RDWR | O_NONBLOCK);
  assert.is(call('read', 0, buffer, 10), 1);
  assert.is(call('read', 0, buffer, 10), -11);
  File.flags.set(file, O_RDWR);
  type('q');
  assert.is(call('read', 0, buffer, 10), ASLEEP);
  Task.pending_work.or(k.task, WORK_SIGNAL);
  wake_task(k.task);
  assert.is(goes_on(), 'q');
  assert.is(call('read', 0, buffer, 10), -512);
});

const flow_control = (action: number) => (): void => {
  assert.is(tty_ioctl(terminal.tty, TCXONC, action), 0);
};
const no_flow = (): void => set_mode({ flow: false });
const types = (text: string) => (): void => type(text);

/** What stops output, what happens then, and whether a write goes on. */
const STOPS: readonly [string, readonly (() => void)[], () => void, boolean][] = [
  ['STOP, no IXON', [types(STOP)], no_flow, true],
  ['STOP, START', [types(STOP)], types(START), true],
  ['STOP, TCOON', [types(STOP)], flow_control(TCOON), false],
  ['STOP, a signal', [types(STOP)], types('\x03'), true],
  ['TCOOFF, no IXON', [flow_control(TCOOFF)], no_flow, false],
  ['TCOOFF, START', [flow_control(TCOOFF)], types(START), false],
  ['TCOOFF, TCOON', [flow_control(TCOOFF)], flow_control(TCOON), true],
  ['STOP and TCOOFF, TCOON', [types(STOP), flow_control(TCOOFF)], flow_control(TCOON), true],
];

for (const [name, stop, then, goes] of STOPS)
  test(`output that is stopped, and goes on: ${name}`, () => {
    setup();
    for (const step of stop) step();
    assert.is(call('write', 0, poke(buffer, 'hello'), 5), ASLEEP);
    then();
    // ^C interrupts the write too; where output goes on is what counts.
    if (Task.pending_work.load(k.task) !== 0) Task.pending_work.and(k.task, 0);
    assert.is(is_awake() ? resume() : ASLEEP, goes ? 5 : ASLEEP);
  });

test('a job that is put in the background meanwhile is not stopped in its call', () => {
  setup();
  assert.is(call('read', 0, buffer, 10), ASLEEP);
  Tty.foreground.set(terminal.tty, Task.tid.get(k.task) + 7);
  type('x\n');
  assert.is(goes_on(), 'x\n');
  Tty.foreground.set(terminal.tty, Task.tid.get(k.task));
  type(STOP);
  set_mode({ stops: true });
  assert.is(call('write', 0, poke(buffer, 'hello'), 5), ASLEEP);
  Tty.foreground.set(terminal.tty, Task.tid.get(k.task) + 7);
  type(START);
  assert.is(is_awake() ? resume() : ASLEEP, 5);
});

test('who found no room to type finds some when there is enough, not before', () => {
  setup();
  set_mode({});
  type('x'.repeat(5000));
  for (let n = 0; n < 128; n++) {
    assert.is(host_terminal_input(terminal, Uint8Array.of(65)), 0);
    assert.is(call('read', 0, buffer, 1), 1);
  }
  assert.is(host_terminal_input(terminal, new Uint8Array(200).fill(65)), 128);
});

test('TCOOFF at the master stops what it types, and not what programs write', () => {
  setup();
  k.space.mknod('/ptmx', S_IFCHR | 0o666, make_dev(PTMX_MAJOR, PTMX_MINOR));
  const master = k.space.open('/ptmx', O_RDWR) as Ptr<'File'>;
  const pair = File.object.get(master) as Ptr<'Tty'>;
  assert.is(fd_install(k.files, master, 0), 1);
  assert.is(fd_install(k.files, tty_open(pair, O_RDWR), 0), 2);
  const writable = (): boolean => (file_operations(master).poll(master) & POLLOUT) !== 0;
  assert.is(call('ioctl', 1, TCXONC, 4), -22);
  assert.is(call('ioctl', 1, TCXONC, TCOOFF), 0);
  assert.not(writable());
  assert.is(call('write', 2, poke(buffer, 'x\n'), 2), 2);
  assert.is(call('write', 1, poke(buffer, 'x\n'), 2), ASLEEP);
  assert.is(tty_ioctl(pair, TCXONC, TCOON), 0);
  assert.not(is_awake());
  assert.is(file_operations(master).ioctl?.(master, TCXONC, TCOON), 0);
  assert.is(is_awake() ? resume() : ASLEEP, 2);
  assert.ok(writable());
});

test.run();
