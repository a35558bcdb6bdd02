/**
 * Which calls programs may make on the host's kernel: a list of harmless ones with what their arguments may be, decided
 * before anything runs. What is not on the list stays out; when in doubt, a call is not on it.
 *
 * The rules below hold for every call; `ALLOWED` adds those of single ones.
 *
 * - Paths lead nowhere but below the program's own directory: relative, without '..', ended by a NUL; some calls that
 *   only read may name /dev/null, /dev/zero and /dev/full. Symbolic links obey the same rule, so none leads out.
 * - What a pointer leads to is known in full and overlaps nothing: no path comes together from pieces, or from what
 *   the kernel wrote earlier. (Memory that cannot be filled when the program runs ends it: compile.ts.)
 * - Process numbers are 0 or what the program itself made: its own, its children's. The program is alone in its
 *   session and process group.
 * - Sizes, offsets and counts are bounded.
 */
import * as abi_clone from '../../engine/abi/clone.ts';
import * as abi_mman from '../../engine/abi/mman.ts';
import type { CallDescription } from '../desc/call.ts';
import { pid } from '../desc/resources.ts';
import { resource_root } from '../desc/types.ts';
import { type Arg, type Call, is_any, type PointerArg, type Program, type ResultArg } from '../prog/model.ts';
import { size_of } from '../prog/size.ts';
import { for_each_arg, for_each_node } from '../prog/walk.ts';

/** Why a call stays out; '' when it may run. */
type Rule = (call: Call) => string;

const LARGEST = 1n << 20n;
const LARGEST_MAPPING = 1n << 24n;

function argument(call: Call, name: string): Arg {
  const index = call.description.args.findIndex((field) => field.name === name);
  const node = call.args[index];
  if (node === undefined) throw new Error(`${call.description.name} has no argument ${name}`);
  return node;
}

function value_of(call: Call, name: string): bigint {
  const node = argument(call, name);
  if (node.kind !== 'number') throw new Error(`${call.description.name}: ${name} is no number`);
  return node.value;
}

/** No bits but these, in 64 bits. */
function only_bits(name: string, mask: bigint): Rule {
  return (call) => ((value_of(call, name) & ~mask) === 0n ? '' : `${name} has other bits than 0x${mask.toString(16)}`);
}

function one_of(name: string, ...values: number[]): Rule {
  return (call) => (values.includes(Number(value_of(call, name))) ? '' : `${name} is another value`);
}

function at_most(name: string, limit: bigint): Rule {
  return (call) => (value_of(call, name) <= limit ? '' : `${name} is above ${limit}`);
}

/** A handler of the program's own would be code. */
function handler_is_standard(call: Call): string {
  let found = '';
  for_each_arg(call, (node) => {
    if (node.kind !== 'union' || node.type.name !== 'handler') return;
    const { inner } = node;
    if (inner.kind !== 'number' || inner.value > 1n) found = 'a handler that is code';
  });
  return found;
}

function bits_of(...bits: number[]): bigint {
  return bits.reduce((mask, bit) => mask | BigInt(bit), 0n);
}

const NONE: readonly Rule[] = [];
/** No namespaces, no sibling of the program, nothing written when the child starts or ends. */
const CLONE_BITS = bits_of(
  ...[abi_clone.CSIGNAL, abi_clone.CLONE_VM, abi_clone.CLONE_FS, abi_clone.CLONE_FILES, abi_clone.CLONE_SIGHAND],
  ...[abi_clone.CLONE_PIDFD, abi_clone.CLONE_VFORK, abi_clone.CLONE_THREAD, abi_clone.CLONE_SYSVSEM],
  ...[abi_clone.CLONE_PARENT_SETTID, abi_clone.CLONE_DETACHED, abi_clone.CLONE_UNTRACED],
);
const SIGCHLD = 17n;

function exit_signal_is_quiet(call: Call): string {
  const signal = value_of(call, 'flags') & 0xffn;
  return signal === 0n || signal === SIGCHLD ? '' : 'the child sends a signal that ends its parent';
}

/** Ordinary pages only. */
const MAP_BITS = only_bits(
  'flags',
  bits_of(
    ...[abi_mman.MAP_SHARED, abi_mman.MAP_PRIVATE, abi_mman.MAP_FIXED, abi_mman.MAP_ANONYMOUS],
    ...[abi_mman.MAP_DENYWRITE, abi_mman.MAP_EXECUTABLE, abi_mman.MAP_NORESERVE, abi_mman.MAP_POPULATE],
    ...[abi_mman.MAP_NONBLOCK, abi_mman.MAP_STACK, abi_mman.MAP_FIXED_NOREPLACE],
  ),
);
const MAPPING: readonly Rule[] = [at_most('length', LARGEST_MAPPING), MAP_BITS];
const PAGES: readonly Rule[] = [at_most('length', LARGEST_MAPPING)];
const PROTECTION: readonly Rule[] = [...PAGES, only_bits('prot', 15n)];
/** Advice that concerns the program's own memory only. */
const ADVICE = one_of('advice', 0, 1, 2, 3, 4, 8, 9, 10, 11, 16, 17, 18, 19, 20, 22, 23);
/** WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP and the bitset forms, with PRIVATE and CLOCK_REALTIME. */
const FUTEX_OPERATION: Rule = (call) =>
  [0n, 1n, 3n, 4n, 5n, 9n, 10n].includes(value_of(call, 'op') & ~0x180n) ? '' : 'not a plain futex operation';

/** A name of a local socket is a path like any other, and never one in the abstract name space. */
function names_a_file(call: Call): string {
  const address = argument(call, 'address');
  if (address.kind !== 'pointer' || address.pointee === undefined) return '';
  return address.pointee.kind === 'union' && address.pointee.option === 0 ? '' : 'an address of another family';
}

/** Linux lets anybody set an empty security.capability, also of a device that the descriptor may stand for. */
function not_a_devices_security(call: Call): string {
  if ((value_of(call, 'size') & 0xffff_ffffn) !== 0n) return '';
  let found = '';
  for_each_arg(call, (node) => {
    if (node.kind !== 'data' || node.dir === 'out') return;
    if (String.fromCharCode(...node.bytes).startsWith('security.')) found = 'security attributes of a device';
  });
  return found;
}

/** A process number is no descriptor: that of another kernel may be the number of a pidfd. */
function no_process_as_descriptor(call: Call): string {
  const P_PIDFD = 3n;
  if (value_of(call, 'idtype') !== P_PIDFD) return '';
  let found = '';
  for_each_arg(call, (node) => {
    const made = node.kind === 'result' && node.dir !== 'out' && node.source !== undefined;
    if (made && resource_root(node.type.resource) === pid) found = 'a process number as a descriptor';
  });
  return found;
}

/** The CPU clock of a process by its number (clock_getcpuclockid(3)), which may exist in one kernel only. */
function no_clock_of_another(call: Call): string {
  const HIGHEST_PID = 1n << 22n;
  const clock = BigInt.asIntN(32, value_of(call, 'clockid'));
  const number = ~(clock >> 3n);
  return clock < 0n && number > 0n && number <= HIGHEST_PID ? 'the clock of a process that is not its own' : '';
}

/** How much time a processor has spent on a program differs, and so does whether sleeping for more of it ends. */
function no_sleep_on_cpu_time(call: Call): string {
  const CLOCK_PROCESS_CPUTIME_ID = 2n;
  const clock = BigInt.asIntN(32, value_of(call, 'clockid'));
  return clock === CLOCK_PROCESS_CPUTIME_ID || clock < 0n ? 'a sleep on CPU time' : '';
}

/** Descriptions (or rows, with all their variants) that may run, each with rules of its own. */
const ALLOWED: ReadonlyMap<string, readonly Rule[]> = new Map<string, readonly Rule[]>([
  ...all('read', 'write', 'readv', 'writev', 'pread64', 'pwrite64', 'preadv', 'pwritev', 'preadv2', 'pwritev2'),
  ...all('lseek', 'sendfile', 'splice', 'tee', 'vmsplice', 'copy_file_range', 'flock', 'fsync', 'fdatasync'),
  ...all('sync_file_range', 'ftruncate', 'fallocate', 'readahead', 'fadvise64'),
  ...all('close', 'close_range', 'dup', 'dup2', 'dup3', 'pipe', 'pipe2', 'read$eventfd', 'write$eventfd'),
  ['memfd_create', [only_bits('flags', 3n)]],
  ...all('fcntl$F_DUPFD', 'fcntl$F_DUPFD_CLOEXEC', 'fcntl$F_GETFD', 'fcntl$F_SETFD', 'fcntl$F_GETFL'),
  ...all('fcntl$F_GETLK', 'fcntl$F_SETLK', 'fcntl$F_OFD_GETLK', 'fcntl$F_OFD_SETLK', 'fcntl$F_SETFL'),
  ...all('fcntl$F_SETOWN', 'fcntl$F_GETOWN', 'fcntl$F_SETOWN_EX', 'fcntl$F_GETOWN_EX', 'fcntl$F_SETSIG'),
  ...all('fcntl$F_GETSIG', 'fcntl$F_SETPIPE_SZ', 'fcntl$F_GETPIPE_SZ', 'fcntl$F_ADD_SEALS', 'fcntl$F_GET_SEALS'),
  ...all('ioctl$FIONREAD', 'ioctl$FIONBIO', 'ioctl$FIOASYNC', 'ioctl$FIOCLEX', 'ioctl$FIONCLEX', 'ioctl$FIOQSIZE'),
  ...all('open', 'open$dir', 'creat', 'openat', 'openat$dir', 'openat$dev', 'openat2'),
  ...all('rename', 'renameat', 'renameat2', 'mkdir', 'mkdirat', 'rmdir', 'link', 'linkat', 'unlink', 'unlinkat'),
  ...all('symlink', 'symlinkat', 'mknod', 'mknodat', 'readlink', 'readlinkat', 'truncate'),
  ...all('getdents', 'getdents64', 'chdir', 'fchdir', 'umask', 'chmod', 'fchmod', 'fchmodat', 'fchmodat2'),
  ...all('chown', 'fchown', 'lchown', 'fchownat', 'utime', 'utimes', 'futimesat', 'utimensat'),
  ...all('access', 'faccessat', 'faccessat2', 'stat', 'lstat', 'fstat', 'newfstatat', 'statx', 'statfs', 'fstatfs'),
  ...all('setxattr', 'getxattr', 'listxattr', 'removexattr', 'lsetxattr', 'lgetxattr', 'llistxattr'),
  ...all('lremovexattr', 'fgetxattr', 'flistxattr', 'fremovexattr'),
  ['fsetxattr', [not_a_devices_security]],
  ['mmap', MAPPING],
  ['munmap', PAGES],
  ['mprotect', PROTECTION],
  ['mremap', [at_most('old_size', LARGEST_MAPPING), at_most('new_size', LARGEST_MAPPING)]],
  ['msync', PAGES],
  ['mincore', PAGES],
  ['madvise', [...PAGES, ADVICE]],
  ['mlock', PAGES],
  ['mlock2', PAGES],
  ['munlock', PAGES],
  ['munlockall', NONE],
  ...all('poll', 'ppoll', 'select', 'pselect6', 'epoll_create', 'epoll_create1', 'epoll_ctl', 'epoll_wait'),
  ...all('epoll_pwait', 'epoll_pwait2', 'eventfd', 'eventfd2', 'inotify_init', 'inotify_init1'),
  ...all('inotify_add_watch', 'inotify_rm_watch', 'read$inotify'),
  ...all('nanosleep', 'gettimeofday', 'time', 'times', 'alarm'),
  ['clock_nanosleep', [no_sleep_on_cpu_time]],
  ['clock_gettime', [no_clock_of_another]],
  ['clock_getres', [no_clock_of_another]],
  ['timer_create', [no_clock_of_another]],
  ...all('getitimer', 'setitimer', 'timer_settime', 'timer_gettime', 'timer_getoverrun'),
  ...all('timer_delete', 'timerfd_create', 'timerfd_settime', 'timerfd_gettime'),
  ['rt_sigaction', [handler_is_standard]],
  ...all('rt_sigprocmask', 'rt_sigpending', 'rt_sigtimedwait', 'rt_sigsuspend', 'pause', 'sigaltstack'),
  ...all('kill', 'tkill', 'tgkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo', 'pidfd_send_signal'),
  ...all('signalfd', 'signalfd4'),
  ['clone', [only_bits('flags', CLONE_BITS), exit_signal_is_quiet]],
  ...all('fork', 'vfork', 'exit', 'exit_group', 'wait4', 'pidfd_open', 'set_tid_address'),
  ['waitid', [no_process_as_descriptor]],
  ...all('getpid', 'gettid', 'getpgrp', 'getpgid', 'setpgid', 'setsid', 'getsid', 'getuid', 'geteuid', 'getgid'),
  ...all('getegid', 'getresuid', 'getresgid', 'capget', 'sched_yield'),
  ...all('prctl$PR_GET_DUMPABLE', 'prctl$PR_GET_KEEPCAPS', 'prctl$PR_SET_NAME', 'prctl$PR_GET_NAME'),
  ...all('prctl$PR_SET_CHILD_SUBREAPER', 'prctl$PR_GET_CHILD_SUBREAPER', 'prctl$PR_GET_NO_NEW_PRIVS'),
  ...all('prctl$PR_SET_NO_NEW_PRIVS', 'prctl$PR_SET_KEEPCAPS', 'prctl$PR_SET_DUMPABLE'),
  ...all('arch_prctl', 'getrusage', 'uname', 'getrandom', 'sched_get_priority_max', 'sched_get_priority_min'),
  ...all('sched_getparam', 'sched_getscheduler'),
  ['futex', [FUTEX_OPERATION]],
  ['set_robust_list', NONE],
  ...all('socket$unix', 'socketpair', 'listen', 'accept', 'accept4', 'getsockname', 'getpeername', 'shutdown'),
  ...all('recvfrom', 'getsockopt', 'recvmsg'),
  ['bind', [names_a_file]],
  ['connect', [names_a_file]],
  ['sendto', [names_a_file]],
]);

/** Variants that are not meant by their row. */
const REFUSED: ReadonlySet<string> = new Set(['futex$requeue']);

function all(...names: string[]): (readonly [string, readonly Rule[]])[] {
  return names.map((name) => [name, NONE]);
}

/** Calls that may name a device: they read, or open what nobody may change. */
const MAY_NAME_DEVICES: ReadonlySet<string> = new Set([
  ...['open', 'openat', 'openat2', 'access', 'faccessat', 'faccessat2', 'stat', 'lstat', 'newfstatat', 'statx'],
  ...['statfs', 'readlink', 'readlinkat', 'getxattr', 'lgetxattr', 'listxattr', 'llistxattr'],
]);
const DEVICES: ReadonlySet<string> = new Set(['/dev/null', '/dev/zero', '/dev/full']);
/** Calls whose result is a process of the program's own. */
const OWN_PROCESSES: ReadonlySet<string> = new Set([
  ...['getpid', 'gettid', 'getpgrp', 'getpgid', 'setsid', 'getsid', 'fork', 'vfork', 'clone', 'set_tid_address'],
]);
/** Arguments and fields that are sizes or places in a file. */
const SIZES: ReadonlySet<string> = new Set([
  ...[
    'offset',
    'length',
    'count',
    'size',
    'nfds',
    'in_offset',
    'out_offset',
    'high',
    'maxevents',
    'iovcnt',
    'old_size',
  ],
]);

/** Whether the description may run with some arguments. */
export function is_allowed_description(description: CallDescription): boolean {
  return rules_of(description) !== undefined;
}

function rules_of({ name, row }: CallDescription): readonly Rule[] | undefined {
  if (REFUSED.has(name)) return undefined;
  // A row stands for its variants; but the row itself, where it takes any command, is only what has its very name.
  return ALLOWED.get(name) ?? ALLOWED.get(row.name);
}

/** Why a call of the program may not run on the host; '' when it may. */
export function refusal(program: Program, index: number): string {
  const call = program.calls[index]!;
  const rules = rules_of(call.description);
  if (rules === undefined) return 'not on the list';
  return (
    memory_rule(call) ||
    array_rule(call) ||
    path_rule(call) ||
    process_rule(call, own_processes(program, index)) ||
    size_rule(call) ||
    first(rules, call)
  );
}

function first(rules: readonly Rule[], call: Call): string {
  for (const rule of rules) {
    const reason = rule(call);
    if (reason !== '') return reason;
  }
  return '';
}

function memory_rule(call: Call): string {
  const ranges: { from: number; to: number }[] = [];
  let reason = '';
  for_each_arg(call, (node) => {
    if (node.kind !== 'pointer' || node.special !== undefined || node.type.kind === 'vma') return;
    if (node.pointee === undefined) reason = 'a pointer to what is not known';
    else if (is_any(node.pointee)) reason = 'a pointer to what has lost its type';
    else ranges.push(range_of(node, node.pointee));
  });
  ranges.sort((a, b) => a.from - b.from);
  for (let i = 1; i < ranges.length; i++) if (ranges[i]!.from < ranges[i - 1]!.to) reason = 'memory that overlaps';
  return reason;
}

/** Arrays whose length is the next argument, with the bytes of an element. */
const ARRAYS: ReadonlyMap<string, bigint> = new Map([
  ['iov', 16n],
  ['fds', 8n],
]);
/** Longer ones are refused by any kernel (IOV_MAX, RLIMIT_NOFILE). */
const LONGEST_ARRAY = 1024n;

/** An array of buffers or descriptors is known in full: behind it lies what other calls have written. */
function array_rule(call: Call): string {
  const { args, description } = call;
  for (const [i, { name }] of description.args.entries()) {
    const [array, count, element] = [args[i]!, args[i + 1], ARRAYS.get(name)];
    if (element === undefined || array.kind !== 'pointer' || count?.kind !== 'number') continue;
    const known = array.pointee === undefined ? 0n : BigInt(size_of(array.pointee)) / element;
    const wanted = BigInt.asUintN(32, count.value);
    const is_read = array.special === undefined && wanted > known && wanted <= LONGEST_ARRAY;
    if (is_read) return `${name} is longer than what is known of it`;
  }
  return '';
}

function range_of({ address }: PointerArg, pointee: Arg): { from: number; to: number } {
  return { from: address, to: address + size_of(pointee) };
}

function path_rule(call: Call): string {
  const devices = MAY_NAME_DEVICES.has(call.description.row.name);
  let reason = '';
  for_each_arg(call, (node) => {
    if (node.kind !== 'data' || node.dir === 'out' || node.type.content === 'blob') return;
    reason ||= path_refusal(node.bytes, devices);
  });
  return reason;
}

function path_refusal(bytes: Uint8Array, devices: boolean): string {
  const end = bytes.indexOf(0);
  if (end < 0) return 'a path without an end';
  const path = String.fromCharCode(...bytes.subarray(0, end));
  if (devices && DEVICES.has(path)) return '';
  if (path.startsWith('/')) return 'an absolute path';
  return path.split('/').includes('..') ? 'a path that leads upwards' : '';
}

function own_processes(program: Program, before: number): ReadonlySet<ResultArg> {
  const own = new Set<ResultArg>();
  for (const { result, description } of program.calls.slice(0, before))
    if (result !== undefined && OWN_PROCESSES.has(description.row.name)) own.add(result);
  return own;
}

function process_rule(call: Call, own: ReadonlySet<ResultArg>): string {
  const waits = call.description.row.name.startsWith('wait');
  let reason = '';
  for_each_arg(call, (node) => {
    if (node.kind !== 'result' || node.dir === 'out' || resource_root(node.type.resource) !== pid) return;
    if (waits) return;
    if (node.value !== 0n) reason = 'a process that is not its own';
    else if (node.source !== undefined && (!own.has(node.source) || node.add !== 0n || node.divide > 1n))
      reason = 'a process that it may not have made';
  });
  return reason;
}

function size_rule(call: Call): string {
  const { description, args } = call;
  for (const [i, { name }] of description.args.entries()) {
    const node = args[i]!;
    if (!SIZES.has(name)) continue;
    let reason = '';
    for_each_node(node, (part) => {
      if (part.kind === 'number' && BigInt.asIntN(64, part.value) > (is_mapping(call) ? LARGEST_MAPPING : LARGEST))
        reason = `${name} is above ${LARGEST}`;
    });
    if (reason !== '') return reason;
  }
  return '';
}

function is_mapping({ description }: Call): boolean {
  return description.args[0]?.type.kind === 'vma';
}
