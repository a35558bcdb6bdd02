/** Programs that must do the same on the host's kernel and in the machine. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { diff_target } from '../../../../harness/cmd/diff.ts';
import { KNOWN_DIFFERENCES } from '../../../../harness/diff/known.ts';
import { DiffOracle } from '../../../../harness/diff/oracle.ts';
import { DiffSession, describe } from '../../../../harness/diff/session.ts';
import { make_choice_table } from '../../../../harness/prog/choice_table.ts';
import { generate_program } from '../../../../harness/prog/generate.ts';
import { Random } from '../../../../harness/prog/random.ts';
import { linux_test } from '../../../support/linux_host.ts';
import { program } from '../../../support/programs.ts';

let shared: DiffOracle | undefined;

function oracle(): DiffOracle {
  shared ??= new DiffOracle();
  return shared;
}

const SEED = 20;
const PROGRAMS = 25;

linux_test('random programs differ in known ways only', () => {
  const target = diff_target();
  const table = make_choice_table(target);
  const random = new Random(SEED);
  const session = new DiffSession(oracle());
  for (let i = 0; i < PROGRAMS; i++) {
    const found = session.judge(generate_program(target, table, random, 10));
    const again = `npx tvisor-harness diff --generate ${PROGRAMS} --seed ${SEED}`;
    if (found !== undefined) throw new Error(`${describe(found)}\n${again}`);
  }
  assert.ok(session.counts.calls > PROGRAMS);
});

const MEMFD = 'r0 = memfd_create(&(0x7f0000000000)="00", 0x0)';
const SEEKS: readonly string[] = [0x3, 0x4].flatMap((whence) =>
  [0x0, 0x2001, 0x3000].map((offset) => `lseek(r0, 0x${offset.toString(16)}, 0x${whence})`),
);

const ATTRIBUTE = "&(0x7f0000000080)='./f0\\x00', &(0x7f00000000c0)='user.b\\x00'";
const set_attribute = (byte: string, size: number, flags = 0): string =>
  `setxattr(${ATTRIBUTE}, &(0x7f0000001000)="${byte}"/${size}, 0x${size.toString(16)}, 0x${flags})`;
const get_attribute = (size: number): string =>
  `getxattr(${ATTRIBUTE}, &(0x7f0000001000)=""/${size}, 0x${size.toString(16)})`;
/** Values of extended attributes that do not fit into a page, set, told, replaced and removed. */
const LONG_ATTRIBUTES: readonly (readonly string[])[] = [
  [set_attribute('0102', 3073), get_attribute(3073), get_attribute(4000), get_attribute(3072), get_attribute(0)],
  [set_attribute('03', 65536), get_attribute(65536), set_attribute('04', 100), get_attribute(4096)],
  [set_attribute('05', 65537), get_attribute(4096), set_attribute('06', 4097), set_attribute('07', 9000, 1)],
  [
    set_attribute('08', 8192),
    set_attribute('09', 5000, 2),
    get_attribute(9000),
    `removexattr(${ATTRIBUTE})`,
    get_attribute(9000),
  ],
];

/** Programs that once showed a difference. */
const EQUAL: readonly (readonly string[])[] = [
  ['socketpair(0x1, 0x0, 0x0, &(0x7f0000000000))'],
  ['timerfd_create(0x8, 0x0)'],
  ['timer_create(0x6, 0x0, &(0x7f0000000340))'],
  ['clock_nanosleep(0x5, 0x0, &(0x7f0000000280), 0x0)'],
  ['r0 = epoll_create(0x1)', 'fcntl$F_GETOWN_EX(r0, 0x10, &(0x7f0000000040))'],
  ['r0 = inotify_init()', 'fcntl$F_GETFL(r0, 0x3, 0x0)'],
  ["r0 = openat$dir(0xffffffffffffff9c, &(0x7f0000000040)='.\\x00', 0x10000, 0x0)", 'fcntl$F_GETFL(r0, 0x3, 0x0)'],
  ['r0 = timerfd_create(0x0, 0x0)', 'fcntl$F_GETLK(r0, 0x5, &(0x7f0000000080))'],
  [
    'pipe(&(0x7f0000000000)={0xffffffffffffffff, <r0=>0xffffffffffffffff})',
    'r1 = getpid()',
    'fcntl$F_OFD_SETLK(r0, 0x25, &(0x7f0000000040)={0x2, 0x0, 0x0, 0x0, r1})',
  ],
  [
    "r0 = open$dir(&(0x7f0000000040)='.\\x00', 0x10000, 0x0)",
    'r1 = gettid()',
    'fcntl$F_OFD_SETLK(r0, 0x25, &(0x7f00000000c0)={0x1, 0x0, 0x0, 0x0, r1})',
  ],
  ['r0 = epoll_create(0x1)', 'epoll_ctl$EPOLL_CTL_MOD(r0, 0x3, r0, &(0x7f00000000c0))'],
  ['r0 = epoll_create(0x1)', 'ioctl$FIOASYNC(r0, 0x5452, &(0x7f0000000080)=0x9)'],
  ['r0 = epoll_create(0x1)', 'flock(r0, 0x2)'],
  ['epoll_wait(0xffffffffffffffff, &(0x7f0000000100), 0x0, 0x0)'],
  ['waitid(0x0, 0x0, &(0x7f0000000080), 0x0, 0x0)'],
  ['r0 = fork()', 'waitid(0x1, r0, &(0x7f0000000080), 0x4, 0x0)'],
  ['fork()', 'waitid(0x0, 0x0, 0x0, 0x8, 0x0)'],
  ['r0 = socket$unix(0x1, 0x1, 0x0)', 'fstat(r0, &(0x7f0000000040))'],
  ['pipe(&(0x7f0000000000)={<r0=>0xffffffffffffffff})', 'fstat(r0, &(0x7f0000000040))'],
  ['preadv2(0xffffffffffffffff, &(0x7f00000002c0), 0x0, 0x0, 0x0, 0x10)'],
  ['r0 = eventfd(0x0)', 'lseek(r0, 0x0, 0x0)'],
  ['r0 = inotify_init1(0x0)', 'writev(r0, &(0x7f00000002c0), 0x0)', 'readv(r0, &(0x7f00000002c0), 0x0)'],
  ['r0 = epoll_create1(0x0)', 'readv(r0, &(0x7f00000002c0), 0x0)'],
  ['r0 = eventfd(0x0)', 'readv(r0, &(0x7f00000002c0), 0x0)'],
  ['r0 = eventfd(0x0)', 'poll(&(0x7f0000000040)=[{r0, 0x145}], 0x1, 0x0)'],
  ['r0 = eventfd2(0x0, 0x0)', 'write(r0, &(0x7f00000000c0)="000000000000000000", 0x9)'],
  ['r0 = signalfd4(0xffffffffffffffff, &(0x7f00000000c0), 0x8, 0x0)', 'write(r0, &(0x7f0000000100), 0x0)'],
  ['r0 = timerfd_create(0x0, 0x0)', 'fadvise64(r0, 0x0, 0x0, 0x0)'],
  ['r0 = inotify_init1(0x0)', 'sendfile(0xffffffffffffffff, r0, &(0x7f0000000080), 0x0)'],
  ['tee(0xffffffffffffffff, 0xffffffffffffffff, 0x0, 0x0)'],
  ["openat$dev(0xffffffffffffff9c, &(0x7f00000003c0)='/dev/null\\x00', 0x4000, 0x0)"],
  ['copy_file_range(0xffffffffffffffff, 0x0, 0xffffffffffffffff, 0x0, 0x0, 0xffffffffffffffff)'],
  ['accept4(0xffffffffffffffff, 0x0, 0x0, 0x1)'],
  ['pidfd_send_signal(0xffffffffffffffff, 0x0, &(0x7f0000000200)={0x2d}, 0x0)'],
  ['mmap(&(0x7f0000fe6000/0x8000)=nil, 0x8000, 0x0, 0x0, 0xffffffffffffffff, 0xffffffffffffffff)'],
  ['poll(0xffff800000000000, 0x0, 0x0)'],
  ["openat2(0xffffffffffffff9c, &(0x7f0000000280)='/dev/null\\x00', &(0x7f00000002c0)={0x0, 0x0, 0x21}, 0x18)"],
  [`rename(&(0x7f0000000280)='./${'x'.repeat(300)}\\x00', &(0x7f0000000600)='\\x00')`],
  [
    "open$dir(&(0x7f0000000080)='./f1\\x00', 0x10000, 0x0)",
    "openat2(0xffffffffffffff9c, &(0x7f0000000200)='./f1\\x00', &(0x7f0000000240)={0x0, 0x0, 0x20}, 0x18)",
  ],
  [
    "mknod(&(0x7f0000000280)='./f1\\x00', 0x0, 0x1)",
    "lstat(&(0x7f0000000400)='./f1\\x00', &(0x7f0000000440))",
    "lstat(&(0x7f0000000500)='.\\x00', &(0x7f0000000540))",
  ],
  ['mknodat(0xffffffffffffff9c, 0xffffffffffffffff, 0xe000, 0x0)'],
  ['timer_create(0x0, &(0x7f0000000280), &(0x7f00000002c0))', 'timer_create(0x0, 0x0, &(0x7f0000000440))'],
  ['clone(0x1000, 0x0, &(0x7f0000000000), 0x0, 0x0)', 'vfork()'],
  ['clone(0x11900, 0x0, 0x0, 0x0, 0x0)'],
  ['r0 = fork()', 'r1 = pidfd_open(r0, 0x80)', 'fcntl$F_GETFL(r1, 0x3, 0x0)', 'ftruncate(r1, 0x0)'],
  ['vfork()', 'vfork()', 'wait4(0x0, 0x0, 0x0, 0x0)'],
  [
    "r0 = openat$dev(0xffffffffffffff9c, &(0x7f0000000040)='/dev/null\\x00', 0x0, 0x0)",
    'r1 = fork()',
    'fcntl$F_SETOWN_EX(r0, 0xf, &(0x7f0000000000)={0x2, r1})',
    'fcntl$F_GETOWN_EX(r0, 0x10, &(0x7f00000001c0))',
  ],
  [
    'mremap(&(0x7f0000ff5000/0x1000)=nil, 0x1000, 0x8000, 0x1, &(0x7f0000fef000/0x8000)=nil)',
    'mincore(&(0x7f0000ff2000/0x6000)=nil, 0x6000, &(0x7f0000000000)=""/8)',
  ],
  ['futex(&(0x7f0000000380), 0x100, 0x1, 0x0, &(0x7f0000000400), 0x0)'],
  ['futex(&(0x7f0000000080), 0x85, 0x0, 0x0, 0xffffffffffffffff, 0x0)'],
  ["r0 = creat(&(0x7f0000000000)='./f1\\x00', 0x0)", 'fcntl$F_OFD_GETLK(r0, 0x24, &(0x7f0000000100)={0x2})'],
  ['r0 = socket$unix(0x1, 0x5, 0x0)', 'recvfrom(r0, &(0x7f0000000000), 0x0, 0x1, 0x0, 0x0)'],
  ['recvfrom(0xffffffffffffffff, 0xffffffffffffffff, 0x0, 0x0, 0x0, 0x0)'],
  ['newfstatat(0xffffffffffffff9c, 0x0, &(0x7f0000000100), 0x1000)'],
  [MEMFD, 'fallocate(r0, 0x0, 0x0, 0xb833)', 'lseek(r0, 0x0, 0x4)', 'lseek(r0, 0x0, 0x3)'],
  [MEMFD, 'fallocate(r0, 0x0, 0x0, 0x5000)', 'pwrite64(r0, &(0x7f0000000180)="0c", 0x1, 0x2001)', ...SEEKS],
  [
    MEMFD,
    'fallocate(r0, 0x0, 0x0, 0x5000)',
    'pread64(r0, &(0x7f0000000180)=""/64, 0x40, 0x1000)',
    'mmap(&(0x7f0000fe6000/0x5000)=nil, 0x5000, 0x3, 0x11, r0, 0x0)',
    'futex(&(0x7f0000fe8000), 0x1, 0x1, 0x0, 0x0, 0x0)',
    'mincore(&(0x7f0000fe6000/0x5000)=nil, 0x5000, &(0x7f0000000000)=""/8)',
    ...SEEKS,
  ],
  [
    'r0 = set_tid_address(0x0)',
    'r1 = pidfd_open(r0, 0x0)',
    `fsetxattr(r1, &(0x7f0000000100)='system.posix_acl_access\x00', &(0x7f00000000c0)="02"/36, 0x24, 0x0)`,
  ],
  [
    "mkdir(&(0x7f0000000080)='./d\\x00', 0x1c0)",
    "creat(&(0x7f0000000080)='./f0\\x00', 0x180)",
    "creat(&(0x7f0000000080)='./d/f1\\x00', 0x180)",
    ...[
      ['./f0', './d/f1', 4],
      ['./f0', './f2', 5],
      ['./d', './e', 4],
      ['./f2', './f2', 4],
      ['./f2', './d', 6],
      ['./none', './f2', 4],
    ].map(
      ([from, to, flags]) =>
        `renameat2(0xffffffffffffff9c, &(0x7f0000000080)='${from}\\x00', 0xffffffffffffff9c, &(0x7f00000000c0)='${to}\\x00', 0x${flags})`,
    ),
    ...['./f0', './f2', './d', './e', './e/f1'].map(
      (path) => `lstat(&(0x7f0000000400)='${path}\\x00', &(0x7f0000000440))`,
    ),
    "open(&(0x7f0000000080)='./d\\x00', 0x2, 0x0)",
    "lstat(&(0x7f0000000500)='.\\x00', &(0x7f0000000540))",
    "unlinkat(0xffffffffffffff9c, &(0x7f0000000500)='./d\\x00', 0x0)",
    "unlinkat(0xffffffffffffff9c, &(0x7f0000000500)='./f0\\x00', 0x0)",
  ],
  ...['getpid()', 'prctl$PR_SET_KEEPCAPS(0x8, 0x0)', 'prctl$PR_SET_NO_NEW_PRIVS(0x26, 0x1, 0x0, 0x0, 0x0)'].map(
    (between) => [
      "r0 = creat(&(0x7f0000000080)='./f0\\x00', 0x180)",
      between,
      "linkat(r0, &(0x7f0000000080)='\\x00', 0xffffffffffffff9c, &(0x7f00000000c0)='./f1\\x00', 0x1000)",
      "linkat(r0, &(0x7f0000000080)='./f0\\x00', 0xffffffffffffff9c, &(0x7f00000000c0)='./f2\\x00', 0x1000)",
      "linkat(0xffffffffffffff9c, &(0x7f0000000080)='./f0\\x00', r0, &(0x7f00000000c0)='./f3\\x00', 0x1000)",
      'fstat(r0, &(0x7f0000000440))',
    ],
  ),
  ...[300, 4093].map((length) => [
    `renameat(0xffffffffffffff9c, &(0x7f0000001040)='./f1\\x00', 0xffffffffffffff9c, &(0x7f0000002080)='./${'x'.repeat(length)}\\x00')`,
  ]),
  [
    'r0 = fork()',
    'r1 = pidfd_open(r0, 0x0)',
    ...['fffffffa', 'ffffffff', '0'].map(
      (code) => `pidfd_send_signal(r1, 0x0, &(0x7f0000000000)={0x0, 0x0, 0x${code}}, 0x0)`,
    ),
  ],
  [
    "r0 = creat(&(0x7f00000000c0)='./f1\\x00', 0x0)",
    'fcntl$F_OFD_SETLK(r0, 0x25, &(0x7f0000000100)={0x0, 0x0, 0x0, 0x20000000005b87})',
    'fcntl$F_OFD_SETLK(r0, 0x25, &(0x7f0000000100)={0x1, 0x0, 0x8000000000fe49, 0x20000000005b87})',
    'fcntl$F_OFD_SETLK(r0, 0x25, &(0x7f0000000100)={0x1, 0x0, 0x7fffffffffffffff, 0x2})',
    'fcntl$F_OFD_SETLK(r0, 0x25, &(0x7f0000000100)={0x1, 0x0, 0x8, 0x7fffffffffffffff})',
  ],
  [
    "r0 = openat(0xffffffffffffff9c, &(0x7f0000000040)='/dev/null\\x00', 0x0, 0x0)",
    'fcntl$F_OFD_GETLK(r0, 0x24, &(0x7f0000000080)={0x0, 0x0, 0x8000000000fe49})',
  ],
  [
    'madvise(&(0x7f0000ff2000/0x8000)=nil, 0x8000, 0x1)',
    'mremap(&(0x7f0000ff0000/0x6000)=nil, 0x6000, 0x6000, 0x3, &(0x7f0000fc9000/0x6000)=nil)',
    'mincore(&(0x7f0000fc9000/0x6000)=nil, 0x6000, &(0x7f0000000000)=""/8)',
    'mincore(&(0x7f0000ff0000/0x6000)=nil, 0x6000, &(0x7f0000000000)=""/8)',
  ],
  [
    'munmap(&(0x7f0000ff2000/0x1000)=nil, 0x1000)',
    'mremap(&(0x7f0000ff0000/0x6000)=nil, 0x6000, 0x6000, 0x3, &(0x7f0000fc9000/0x6000)=nil)',
    'mincore(&(0x7f0000fc9000/0x2000)=nil, 0x2000, &(0x7f0000000000)=""/8)',
    'mincore(&(0x7f0000fcb000/0x1000)=nil, 0x1000, &(0x7f0000000000)=""/8)',
    'mincore(&(0x7f0000fcc000/0x3000)=nil, 0x3000, &(0x7f0000000000)=""/8)',
    'mremap(&(0x7f0000ff2000/0x6000)=nil, 0x6000, 0x6000, 0x3, &(0x7f0000fc9000/0x6000)=nil)',
  ],
  [
    'mlock2(&(0x7f0000fe2000/0x6000)=nil, 0x6000, 0x0)',
    'mremap(&(0x7f0000fe4000/0x5000)=nil, 0x5000, 0x1000, 0x3, &(0x7f0000fe1000/0x1000)=nil)',
    'mincore(&(0x7f0000fe4000/0x5000)=nil, 0x5000, &(0x7f0000000000)=""/8)',
  ],
  [
    'r0 = getpgid(0x0)',
    'r1 = pidfd_open(r0, 0x0)',
    ...[0, 2, 4].map((flags) => `pidfd_send_signal(r1, 0x0, &(0x7f0000000100), 0x${flags})`),
  ],
  ...LONG_ATTRIBUTES.map((calls) => ["creat(&(0x7f0000000080)='./f0\\x00', 0x180)", ...calls]),
  ...['copy_file_range(r0, 0x0, r0, 0x0, 0xffffffffffffffff, 0x0)', 'copy_file_range(r0, 0x0, r0, 0x0, 0x0, 0x0)'].map(
    (call) => [MEMFD, call],
  ),
];

linux_test('programs that differed once do no longer', () => {
  for (const lines of EQUAL) {
    const { kind, difference } = oracle().judge(program(...lines));
    assert.is(kind, 'equal', `${lines.join('\n')}\n${JSON.stringify(difference)}`);
  }
});

test('each known difference is of calls that may run', () => {
  const names = diff_target().calls.map(({ name }) => name);
  for (const { name, reason } of KNOWN_DIFFERENCES)
    assert.ok(
      names.some((found) => new RegExp(`^(?:${name.source})$`).test(found)),
      reason,
    );
});

linux_test('a call that blocks must block on both sides', () => {
  const pipe = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';
  const verdict = oracle().judge(program(pipe, 'read(r0, &(0x7f0000001000)=""/16, 0x10)', 'close(r0)'));
  assert.is(verdict.kind, 'equal');
  assert.is(verdict.compared, 2);
  assert.is(verdict.native[1]!.result, 'does not end');
});

linux_test('nothing behind a call that blocks runs, though it would end it', () => {
  const given = program(
    'r0 = timerfd_create(0x0, 0x0)',
    'read(r0, &(0x7f0000000340)=""/8, 0x8)',
    'timerfd_settime(r0, 0x0, &(0x7f0000000000)={{}, {0x0, 0x1}}, 0x0)',
  );
  assert.is(oracle().judge(given).kind, 'equal');
});

linux_test('programs of which nothing may run are skipped', () => {
  const session = new DiffSession(oracle());
  session.judge(program('sync()'));
  assert.is(session.counts.skipped, 1);
  assert.is(session.counts.removed, 1);
});

test.after(() => shared?.close());
test.run();
