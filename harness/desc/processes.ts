/** Descriptions of calls on tasks: creation, end, identity, credentials, limits, scheduling, futexes. */
import * as abi_capability from '../../engine/abi/capability.ts';
import * as abi_clone from '../../engine/abi/clone.ts';
import * as abi_resource from '../../engine/abi/resource.ts';
import {
  arg,
  array,
  blob,
  both,
  bytes,
  bytesize,
  fixed,
  flags,
  input,
  int16,
  int32,
  int64,
  len,
  maybe,
  of,
  one_of,
  output,
  pick,
  range,
  string,
  struct,
  varying,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { fd, fd_pidfd, gid, pgid, pid, uid } from './resources.ts';
import {
  ADDRESS,
  AT_FLAGS,
  DIRFD,
  FD,
  GID,
  PATH,
  PID,
  RLIMIT,
  SIGINFO_OUT,
  SIGNAL,
  STRINGS,
  TIMEOUT,
  TIMESPEC,
  UID,
} from './structs.ts';
import type { Field } from './types.ts';

const CLONE_BITS = pick(abi_clone, 'CLONE_');
const NAMESPACES = pick(abi_clone, 'CLONE_NEW');
const WAIT_FLAGS = flags(pick(abi_clone, 'WNOHANG', 'WUNTRACED', 'WEXITED', 'WCONTINUED', 'WNOWAIT', 'WALL', 'WCLONE'));
const USAGE = varying(bytes(144), 'time');
const RUSAGE_OUT = maybe(output(USAGE));
const TID_OUT = maybe(output(struct('tid_out', arg('tid', PID))));
const PIDFD_OUT = maybe(output(struct('pidfd_out', arg('fd', of(fd_pidfd)))));
const STATUS_OUT = maybe(output(int32));

const CLONE_ARGS = struct(
  'clone_args',
  arg('flags', flags({ ...CLONE_BITS, CLONE_CLEAR_SIGHAND: 1n << 32n, CLONE_INTO_CGROUP: 1n << 33n })),
  arg('pidfd', PIDFD_OUT),
  arg('child_tid', TID_OUT),
  arg('parent_tid', TID_OUT),
  arg('exit_signal', range(0, 64)),
  arg('stack', ADDRESS),
  arg('stack_size', bytesize('stack')),
  arg('tls', int64),
  arg('set_tid', maybe(input(array(int32, 0, 2)))),
  arg('set_tid_size', len('set_tid')),
  arg('cgroup', FD),
);

const TASKS: readonly CallDescription[] = [
  call(
    'clone',
    [
      arg('flags', flags({ ...CLONE_BITS, SIGCHLD: 17 })),
      arg('stack', ADDRESS),
      arg('parent_tid', TID_OUT),
      arg('child_tid', TID_OUT),
      arg('tls', int64),
    ],
    pid,
    { child: true },
  ),
  call('clone3', [arg('args', input(CLONE_ARGS)), arg('size', bytesize('args'))], pid, { child: true }),
  call('fork', [], pid, { child: true }),
  call('vfork', [], pid, { child: true }),
  call('unshare', [arg('flags', flags(CLONE_BITS))]),
  call('setns', [arg('fd', FD), arg('type', one_of({ any: 0, ...NAMESPACES }))]),
  call('exit', [arg('status', range(0, 255))], undefined, { terminal: true }),
  call('exit_group', [arg('status', range(0, 255))], undefined, { terminal: true }),
  call('execve', [arg('path', PATH), arg('argv', STRINGS), arg('envp', STRINGS)], undefined, { rare: true }),
  call(
    'execveat',
    [arg('dirfd', DIRFD), arg('path', PATH), arg('argv', STRINGS), arg('envp', STRINGS), arg('flags', AT_FLAGS)],
    undefined,
    { rare: true },
  ),
  call('wait4', [arg('pid', PID), arg('wstatus', STATUS_OUT), arg('options', WAIT_FLAGS), arg('rusage', RUSAGE_OUT)]),
  call('waitid', [
    arg('idtype', one_of(pick(abi_clone, 'P_'))),
    arg('id', PID),
    arg('infop', maybe(output(SIGINFO_OUT))),
    arg('options', WAIT_FLAGS),
    arg('rusage', RUSAGE_OUT),
  ]),
  call('pidfd_open', [arg('pid', PID), arg('flags', flags({ PIDFD_NONBLOCK: 0o4000, PIDFD_THREAD: 0o200 }))], fd_pidfd),
  call('pidfd_getfd', [arg('pidfd', of(fd_pidfd)), arg('target', FD), arg('flags', range(0, 0))], fd),
  call('set_tid_address', [arg('tidptr', ADDRESS)], pid),
  call('kcmp', [arg('pid1', PID), arg('pid2', PID), arg('type', range(0, 7)), arg('idx1', FD), arg('idx2', FD)]),
];

const IDENTITY: readonly CallDescription[] = [
  call('getpid', [], pid),
  call('gettid', [], pid),
  call('getppid', [], pid),
  call('getpgrp', [], pgid),
  call('getpgid', [arg('pid', PID)], pgid),
  call('setpgid', [arg('pid', PID), arg('pgid', of(pgid))]),
  call('setsid', [], pgid),
  call('getsid', [arg('pid', PID)], pgid),
  call('getuid', [], uid),
  call('geteuid', [], uid),
  call('getgid', [], gid),
  call('getegid', [], gid),
  call('setuid', [arg('uid', UID)]),
  call('setgid', [arg('gid', GID)]),
  call('setreuid', [arg('ruid', UID), arg('euid', UID)]),
  call('setregid', [arg('rgid', GID), arg('egid', GID)]),
  call('setresuid', [arg('ruid', UID), arg('euid', UID), arg('suid', UID)]),
  call('setresgid', [arg('rgid', GID), arg('egid', GID), arg('sgid', GID)]),
  call('setfsuid', [arg('fsuid', UID)]),
  call('setfsgid', [arg('fsgid', GID)]),
  call('getresuid', three_ids(UID)),
  call('getresgid', three_ids(GID)),
  call('getgroups', [arg('size', len('list')), arg('list', output(array(GID)))]),
  call('setgroups', [arg('size', len('list')), arg('list', input(array(GID)))]),
];

function three_ids(id: typeof UID): Field[] {
  return ['real', 'effective', 'saved'].map((name) => arg(name, output(struct('id_out', arg('id', id)))));
}

const CAPABILITY_VERSION = one_of({ V1: 0x19980330, V2: 0x20071026, V3: 0x20080522 }, 4);
const CAPABILITY_HEADER = struct('cap_header', arg('version', CAPABILITY_VERSION), arg('pid', PID));
const CAPABILITY_DATA = array(
  struct('cap_data', arg('effective', int32), arg('permitted', int32), arg('inheritable', int32)),
  2,
  2,
);
const CAPABILITY = one_of(pick(abi_capability, 'CAP_'));

/** A variant of prctl(2). */
function prctl(name: string, option: number, ...args: Field[]): CallDescription {
  const rest = [...args];
  while (rest.length < 4) rest.push(arg(`zero${rest.length}`, range(0, 0)));
  return call(`prctl$${name}`, [arg('option', fixed(option)), ...rest]);
}

const CONTROL: readonly CallDescription[] = [
  call('capget', [arg('header', both(CAPABILITY_HEADER)), arg('data', maybe(output(CAPABILITY_DATA)))]),
  call('capset', [arg('header', both(CAPABILITY_HEADER)), arg('data', input(CAPABILITY_DATA))]),
  prctl('PR_SET_PDEATHSIG', 1, arg('signal', SIGNAL)),
  prctl('PR_GET_PDEATHSIG', 2, arg('signal', output(int32))),
  prctl('PR_GET_DUMPABLE', 3),
  prctl('PR_SET_DUMPABLE', 4, arg('value', range(0, 2))),
  prctl('PR_GET_KEEPCAPS', 7),
  prctl('PR_SET_KEEPCAPS', 8, arg('value', range(0, 1))),
  prctl('PR_SET_NAME', 15, arg('name', input(string('f0', 'worker')))),
  prctl('PR_GET_NAME', 16, arg('name', output(bytes(16)))),
  prctl('PR_CAPBSET_READ', 23, arg('capability', CAPABILITY)),
  prctl('PR_CAPBSET_DROP', 24, arg('capability', CAPABILITY)),
  prctl('PR_GET_TSC', 25, arg('mode', output(int32))),
  prctl('PR_SET_TSC', 26, arg('mode', range(0, 2))),
  prctl('PR_SET_CHILD_SUBREAPER', 36, arg('value', range(0, 1))),
  prctl('PR_GET_CHILD_SUBREAPER', 37, arg('value', output(int32))),
  prctl('PR_SET_NO_NEW_PRIVS', 38, arg('value', range(0, 1))),
  prctl('PR_GET_NO_NEW_PRIVS', 39),
  prctl('PR_CAP_AMBIENT', 47, arg('operation', range(1, 4)), arg('capability', CAPABILITY)),
  call('arch_prctl', [
    arg('code', one_of({ SET_GS: 0x1001, SET_FS: 0x1002, GET_FS: 0x1003, GET_GS: 0x1004 })),
    arg('addr', ADDRESS),
  ]),
  call('personality', [arg('persona', one_of({ query: 0xffff_ffff, linux: 0, no_randomize: 0x40000 }))]),
  call('getrlimit', [arg('resource', one_of(pick(abi_resource, 'RLIMIT_'))), arg('limit', output(RLIMIT))]),
  call('setrlimit', [arg('resource', one_of(pick(abi_resource, 'RLIMIT_'))), arg('limit', input(RLIMIT))]),
  call('prlimit64', [
    arg('pid', PID),
    arg('resource', one_of(pick(abi_resource, 'RLIMIT_'))),
    arg('new', maybe(input(RLIMIT))),
    arg('old', maybe(output(RLIMIT))),
  ]),
  call('getrusage', [arg('who', one_of(pick(abi_resource, 'RUSAGE_'))), arg('usage', output(USAGE))]),
  call('getpriority', [arg('which', range(0, 2)), arg('who', PID)]),
  call('setpriority', [arg('which', range(0, 2)), arg('who', PID), arg('nice', range(-20, 19))]),
];

const POLICY = one_of({ NORMAL: 0, FIFO: 1, RR: 2, BATCH: 3, IDLE: 5, DEADLINE: 6 });
const SCHED_PARAM = struct('sched_param', arg('priority', range(0, 99, 4)));
const SCHED_ATTR = struct(
  'sched_attr',
  arg('size', bytesize('parent', 4)),
  arg('policy', range(0, 6, 4)),
  arg('flags', int64),
  arg('nice', range(-20, 19, 4)),
  arg('priority', range(0, 99, 4)),
  arg('runtime', int64),
  arg('deadline', int64),
  arg('period', int64),
);
const CPU_SET = blob(0, 128);

const SCHEDULING: readonly CallDescription[] = [
  call('sched_yield'),
  call('sched_getaffinity', [arg('pid', PID), arg('size', len('mask')), arg('mask', output(CPU_SET))]),
  call('sched_setaffinity', [arg('pid', PID), arg('size', len('mask')), arg('mask', input(CPU_SET))]),
  call('sched_getparam', [arg('pid', PID), arg('param', output(SCHED_PARAM))]),
  call('sched_setparam', [arg('pid', PID), arg('param', input(SCHED_PARAM))]),
  call('sched_getscheduler', [arg('pid', PID)]),
  call('sched_setscheduler', [arg('pid', PID), arg('policy', POLICY), arg('param', input(SCHED_PARAM))]),
  call('sched_get_priority_max', [arg('policy', POLICY)]),
  call('sched_get_priority_min', [arg('policy', POLICY)]),
  call('sched_rr_get_interval', [arg('pid', PID), arg('interval', output(TIMESPEC))]),
  call('sched_getattr', [
    arg('pid', PID),
    arg('attr', output(SCHED_ATTR)),
    arg('size', bytesize('attr')),
    arg('flags', range(0, 0)),
  ]),
  call('sched_setattr', [arg('pid', PID), arg('attr', input(SCHED_ATTR)), arg('flags', range(0, 0))]),
  call('getcpu', [arg('cpu', maybe(output(int32))), arg('node', maybe(output(int32))), arg('unused', range(0, 0))]),
];

const FUTEX_WORD = both(range(0, 2, 4));
/** Wait, wake, requeue, compare and requeue, wake op, the bitset forms; each private or shared, on either clock. */
const FUTEX_OPS = one_of({
  ...{ WAIT: 0, WAKE: 1, REQUEUE: 3, CMP_REQUEUE: 4, WAKE_OP: 5, LOCK_PI: 6, UNLOCK_PI: 7, TRYLOCK_PI: 8 },
  ...{ WAIT_BITSET: 9, WAKE_BITSET: 10, WAIT_PRIVATE: 128, WAKE_PRIVATE: 129, REQUEUE_PRIVATE: 131 },
  ...{ CMP_REQUEUE_PRIVATE: 132, WAKE_OP_PRIVATE: 133, WAIT_BITSET_PRIVATE: 137, WAKE_BITSET_PRIVATE: 138 },
  ...{ WAIT_REALTIME: 256, WAIT_BITSET_REALTIME: 265, WAIT_BITSET_PRIVATE_REALTIME: 393 },
});
const FUTEX_WAITER = struct(
  'futex_waitv',
  arg('val', range(0, 2)),
  arg('uaddr', FUTEX_WORD),
  arg('flags', flags({ FUTEX_32: 2, FUTEX_PRIVATE: 128 }, 4)),
  arg('reserved', fixed(0, 4)),
);
const ROBUST_LIST = struct(
  'robust_list_head',
  arg('list', ADDRESS),
  arg('futex_offset', range(-64, 64)),
  arg('list_op_pending', ADDRESS),
);
const futex_arguments = (timeout: Field): Field[] => [
  arg('uaddr', FUTEX_WORD),
  arg('op', FUTEX_OPS),
  arg('val', range(0, 2)),
  timeout,
  arg('uaddr2', FUTEX_WORD),
  arg('val3', range(0, 2)),
];

const FUTEX: readonly CallDescription[] = [
  call('futex', futex_arguments(arg('timeout', TIMEOUT))),
  call('futex$requeue', futex_arguments(arg('count', range(0, 4)))),
  call('futex_waitv', [
    arg('waiters', input(array(FUTEX_WAITER))),
    arg('nr', len('waiters')),
    arg('flags', range(0, 0)),
    arg('timeout', TIMEOUT),
    arg('clockid', range(0, 1)),
  ]),
  call('set_robust_list', [arg('head', input(ROBUST_LIST)), arg('len', bytesize('head'))]),
  call('get_robust_list', [arg('pid', PID), arg('head', output(int64)), arg('len', output(int64))]),
];

const BPF_INSTRUCTION = struct(
  'sock_filter',
  arg('code', int16),
  arg('jt', range(0, 3, 1)),
  arg('jf', range(0, 3, 1)),
  arg('k', int32),
);
const BPF_PROGRAM = struct(
  'sock_fprog',
  arg('len', len('filter', 2)),
  arg('filter', input(array(BPF_INSTRUCTION, 1, 6))),
);

const LIMITS: readonly CallDescription[] = [
  call(
    'seccomp',
    [arg('op', range(0, 3)), arg('flags', range(0, 7)), arg('args', maybe(input(BPF_PROGRAM)))],
    undefined,
    { rare: true },
  ),
  call(
    'ptrace',
    [arg('request', range(0, 24)), arg('pid', PID), arg('addr', ADDRESS), arg('data', ADDRESS)],
    undefined,
    { rare: true },
  ),
  call(
    'rseq',
    [arg('rseq', ADDRESS), arg('len', one_of({ original: 32 })), arg('flags', range(0, 1)), arg('sig', int32)],
    undefined,
    { rare: true },
  ),
];

export const PROCESS_CALLS: readonly CallDescription[] = [
  ...TASKS,
  ...IDENTITY,
  ...CONTROL,
  ...SCHEDULING,
  ...FUTEX,
  ...LIMITS,
];
