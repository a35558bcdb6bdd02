import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal } from '../../../../harness/diff/allow.ts';
import { prepare } from '../../../../harness/diff/prepare.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { each_seed, expect_valid, program, random_program } from '../../../support/programs.ts';

/** Why the last call of the program may not run. */
function reason(...lines: string[]): string {
  const given = program(...lines);
  return refusal(given, given.calls.length - 1);
}

/** Programs whose last call must never run on the host, and why. */
const FORBIDDEN: readonly (readonly [RegExp, ...string[]])[] = [
  [/not on the list/, 'reboot(0xfee1dead, 0x28121969, 0x1234567, 0x0)'],
  [/not on the list/, 'setuid(0x0)'],
  [/not on the list/, "mount(0x0, &(0x7f0000000000)='./f0\\x00', &(0x7f0000000040)='tmpfs\\x00', 0x0, 0x0)"],
  [/not on the list/, "chroot(&(0x7f0000000000)='./f0\\x00')"],
  [/not on the list/, 'unshare(0x10000000)'],
  [/not on the list/, 'ptrace(0x10, 0x0, 0x0, 0x0)'],
  [/not on the list/, "execve(&(0x7f0000000000)='./f0\\x00', &(0x7f0000000040), &(0x7f0000000080))"],
  [/not on the list/, 'sched_setscheduler(0x0, 0x1, &(0x7f0000000000))'],
  [/not on the list/, 'setpriority(0x0, 0x0, 0xffffffffffffffec)'],
  [/not on the list/, 'sync()'],
  [/not on the list/, 'syslog(0x5, &(0x7f0000000000), 0x0)'],
  [/not on the list/, 'socket$inet(0x2, 0x1, 0x0)'],
  [/not on the list/, 'shmget(0x0, 0x1000, 0x200)'],
  [/not on the list/, 'fcntl(0x0, 0x8, 0x1)'],
  [/not on the list/, 'ioctl(0x0, 0x5412, 0x0)'],
  [/not on the list/, 'r0 = getppid()'],
  [/not its own/, 'kill(0xffffffffffffffff, 0x9)'],
  [/not its own/, 'kill(0x1, 0x9)'],
  [/not its own/, 'tgkill(0x0, 0x2a, 0x9)'],
  [/not its own/, 'fcntl$F_SETOWN(0x0, 0x8, 0x1)'],
  [/not its own/, 'fcntl$F_SETOWN_EX(0x0, 0xf, &(0x7f0000000000)={0x0, 0x1})'],
  [/not its own/, 'pidfd_open(0x1, 0x0)'],
  [/not have made/, 'r0 = getppid()', 'kill(r0, 0x9)'],
  [/not have made/, 'r0 = getpid()', 'kill(r0+0x1, 0x9)'],
  [/not have made/, 'r0 = getpid()', 'kill(r0/0x2, 0x9)'],
  [/absolute/, "open(&(0x7f0000000000)='/etc/passwd\\x00', 0x0, 0x0)"],
  [/absolute/, "unlink(&(0x7f0000000000)='/dev/null\\x00')"],
  [/absolute/, "symlink(&(0x7f0000000000)='/etc\\x00', &(0x7f0000000040)='./f0\\x00')"],
  [/absolute/, "open(&(0x7f0000000000)='/proc/self/mem\\x00', 0x2, 0x0)"],
  [/absolute/, "openat$dev(0xffffffffffffff9c, &(0x7f0000000000)='/dev/random\\x00', 0x0, 0x0)"],
  [/upwards/, "open(&(0x7f0000000000)='./f0/../../x\\x00', 0x0, 0x0)"],
  [/upwards/, "symlink(&(0x7f0000000000)='..\\x00', &(0x7f0000000040)='./f0\\x00')"],
  [/without an end/, "open(&(0x7f0000000000)='./f0', 0x0, 0x0)"],
  [/overlaps/, "rename(&(0x7f0000000000)='./f0\\x00', &(0x7f0000000001)='./f1\\x00')"],
  [/absolute/, "bind(0x0, &(0x7f0000000000)=@un={0x1, '/run/x\\x00'}, 0x6e)"],
  [/another family/, 'bind(0x0, &(0x7f0000000000)=@in={0x2, 0x4e20, 0x7f000001, 0x0}, 0x10)'],
  [/other bits/, 'clone(0x10000011, 0x0, 0x0, 0x0, 0x0)'],
  [/other bits/, 'clone(0x8011, 0x0, 0x0, 0x0, 0x0)'],
  [/ends its parent/, 'clone(0x9, 0x0, 0x0, 0x0, 0x0)'],
  [/handler that is code/, 'rt_sigaction(0xa, &(0x7f0000000000)={@address=&(0x7f0000ff0000/0x1000)=nil}, 0x0, 0x8)'],
  [/above/, 'ftruncate(0x0, 0x7fffffffffffffff)'],
  [/above/, 'fallocate(0x0, 0x0, 0x0, 0x40000000)'],
  [/above/, 'munmap(&(0x7f0000ff0000/0x1000)=nil, 0x7fffffffffff)'],
  [/other bits/, 'mmap(&(0x7f0000ff0000/0x1000)=nil, 0x1000, 0x3, 0x40022, 0xffffffffffffffff, 0x0)'],
  [
    /of a device/,
    "r0 = openat$dev(0xffffffffffffff9c, &(0x7f0000000040)='/dev/null\\x00', 0x0, 0x0)",
    "fsetxattr(r0, &(0x7f0000000080)='security.capability\\x00', 0x0, 0x0, 0x0)",
  ],
  [/longer than/, 'writev(0x0, &(0x7f0000000140)=[{&(0x7f0000000080)="09", 0x1}], 0x3ff)'],
  [/longer than/, 'poll(&(0x7f0000000040)=[{0xffffffffffffffff, 0x41}], 0x2, 0x0)'],
  [/as a descriptor/, 'r0 = fork()', 'waitid(0x3, r0, 0x0, 0x4, 0x0)'],
  [/another value/, 'madvise(&(0x7f0000ff0000/0x1000)=nil, 0x1000, 0x64)'],
];

test('calls that could do harm are refused', () => {
  for (const [why, ...lines] of FORBIDDEN) assert.match(reason(...lines), why, lines.join('\n'));
});

test('harmless calls are not', () => {
  for (const lines of [
    ["open(&(0x7f0000000000)='./f0\\x00', 0x42, 0x1ff)"],
    ["stat(&(0x7f0000000000)='/dev/null\\x00', &(0x7f0000000040))"],
    ["symlink(&(0x7f0000000000)='f0/..f1\\x00', &(0x7f0000000040)='./f0\\x00')"],
    ['kill(0x0, 0x0)'],
    ['r0 = getpid()', 'kill(r0, 0x9)'],
    ['r0 = fork()', 'wait4(r0, 0x0, 0x0, 0x0)'],
    ['wait4(0xffffffffffffffff, 0x0, 0x1, 0x0)'],
    ['ftruncate(0x0, 0xffffffffffffffff)'],
  ])
    assert.is(reason(...lines), '', lines.join('\n'));
});

test('what is left of any program may run, is valid and runs in one task', () => {
  each_seed(200, (random) => {
    const { program: left, removed } = prepare(random_program(random));
    expect_valid(left);
    assert.ok(removed >= 0);
    for (const [i, { properties }] of left.calls.entries()) {
      assert.is(refusal(left, i), '');
      assert.is(properties.async, false);
      assert.is(properties.fail_nth, 0);
    }
  });
});

test('waits become short, timers long, and what is not valid stays', () => {
  const changed = prepare(
    program(
      'nanosleep(&(0x7f0000000000)={0x3c, 0x5}, 0x0)',
      'nanosleep(&(0x7f0000000000)={0x0, 0x3b9aca00}, 0x0)',
      'poll(0x0, 0x0, 0x3e8)',
      'poll(0x0, 0x0, 0xffffffffffffffff)',
      'alarm(0x1)',
      'alarm(0x0)',
    ),
  ).program;
  assert.is(
    print_program(changed).trimEnd(),
    [
      'nanosleep(&(0x7f0000000000)={0x0, 0x989680}, 0x0)',
      'nanosleep(&(0x7f0000000000)={0x0, 0x3b9aca00}, 0x0)',
      'poll(0x0, 0x0, 0xa)',
      'poll(0x0, 0x0, 0xffffffffffffffff)',
      'alarm(0x5f5e100)',
      'alarm(0x0)',
    ].join('\n'),
  );
});

test.run();
