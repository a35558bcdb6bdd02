/** Calls that transfer gigabytes end at a signal, let others run, and end with the program's fuel. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run_lines, summary } from '../../../support/executor.ts';

const SA_RESTORER = 0x400_0000;
const HANDLER = `rt_sigaction(0xe, &(0x7f0000000000)={@address=&(0x7f0000ffe000/0x1000)=nil, 0x${SA_RESTORER.toString(16)}}, 0x0, 0x8)`;
const TIMER = 'setitimer(0x0, &(0x7f0000000040)={{}, {0x0, 0x1388}}, 0x0)';

function device(name: string, slot = 'r0'): string {
  return `${slot} = openat$dev(0xffffffffffffff9c, &(0x7f0000000080)='/dev/${name}\\x00', 0x2, 0x0)`;
}

const PTMX = "r0 = openat$tty(0xffffffffffffff9c, &(0x7f0000000080)='/dev/ptmx\\x00', 0x2, 0x0)";
const HOLE = ['r0 = memfd_create(&(0x7f0000000080)="00", 0x0)', 'ftruncate(r0, 0x100000000)'];
/** 127 buffers of nearly 16 MiB, all the same memory. */
const VECTOR = `&(0x7f0000000100)=[${Array.from({ length: 127 }, () => '{&(0x7f0000001000), 0xfff000}').join(', ')}], 0x7f`;

/** What begins a long call that any signal ends, and the call. */
const INTERRUPTED: readonly (readonly string[])[] = [
  [device('zero'), `readv(r0, ${VECTOR})`],
  [device('random'), `preadv(r0, ${VECTOR}, 0x0)`],
  [device('random'), `writev(r0, ${VECTOR})`],
  [device('zero'), device('null', 'r1'), 'sendfile(r1, r0, 0x0, 0x7ffff000)'],
  [device('random'), 'sendfile(r0, r0, 0x0, 0xfffffff5)'],
  ['getrandom(&(0x7f0000001000), 0xffe000, 0x0)'],
  [PTMX, `writev(r0, ${VECTOR})`],
  [...HOLE, device('null', 'r1'), 'sendfile(r1, r0, &(0x7f0000001000)=0x0, 0x7ffff000)'],
];

test('a signal ends a long transfer, which tells how far it came', () => {
  for (const lines of INTERRUPTED) {
    const program = [HANDLER, ...lines.slice(0, -1), TIMER, lines.at(-1)!, 'getppid()'];
    const outcome = run_lines(program);
    const [call, behind] = outcome.calls.slice(-2);
    const said = `${program.join('\n').slice(0, 500)}\n${summary(outcome)}`;
    assert.ok(call!.finished && call!.result > 0 && call!.result < 0xff_e000 * 2, said);
    assert.ok(behind!.finished && outcome.status === 'done', said);
  }
});

test('a long transfer between files is ended only by what ends the process', () => {
  const read = [...HOLE, `readv(r0, ${VECTOR})`];
  assert.is(
    summary(
      run_lines([
        HANDLER,
        TIMER,
        ...read.slice(0, -1),
        'preadv(r0, &(0x7f0000000100)=[{&(0x7f0000001000), 0xfff000}, {&(0x7f0000001000), 0xfff000}, {&(0x7f0000001000), 0xfff000}], 0x3, 0x0)',
      ]),
    ),
    `done: 0 0 3 0 ${3 * 0xfff_000}`,
  );
  // SIGALRM without a handler.
  assert.is(summary(run_lines([TIMER, ...read, 'getppid()'])), 'done: 0 3 0 ... -');
});

test('a program whose transfers take more than its fuel is none that hangs', () => {
  for (const lines of INTERRUPTED) {
    const outcome = run_lines([...lines, 'getppid()']);
    assert.is(outcome.status, 'done', summary(outcome));
  }
});

test('others run beside a long transfer', () => {
  const outcome = run_lines([
    device('zero'),
    `readv(r0, ${VECTOR}) (async)`,
    'fork()',
    'wait4(0xffffffffffffffff, 0x0, 0x0, 0x0)',
  ]);
  assert.ok(outcome.calls[3]!.finished, summary(outcome));
  assert.is.not(outcome.calls[1]!.finished, summary(outcome));
});

test('a nonblocking transfer stays one when it was preempted', () => {
  const pipe = 'pipe2(&(0x7f0000000000)={<r1=>0xffffffffffffffff, <r2=>0xffffffffffffffff}, 0x800)';
  assert.is(summary(run_lines([device('zero'), pipe, 'sendfile(r2, r0, 0x0, 0x7ffff000)'])), 'done: 3 0 65536');
});

test('a copy between files goes on at the place where others have run', () => {
  const outcome = run_lines([
    'r0 = memfd_create(&(0x7f0000000080)="00", 0x0)',
    'r1 = memfd_create(&(0x7f0000000080)="00", 0x0)',
    'pwrite64(r0, &(0x7f0000001000), 0xc00000, 0x1)',
    'lseek(r0, 0x1, 0x0)',
    'copy_file_range(r0, 0x0, r1, 0x0, 0x7ffff000, 0x0)',
    'lseek(r0, 0x0, 0x1)',
    'lseek(r1, 0x0, 0x1)',
  ]);
  assert.is(summary(outcome), 'done: 3 4 12582912 1 12582912 12582913 12582912');
});

test.run();
