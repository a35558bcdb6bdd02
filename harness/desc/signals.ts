/** Descriptions of calls on signals. */
import * as abi_signal from '../../engine/abi/signal.ts';
import {
  arg,
  bytes,
  choice,
  fixed,
  flags,
  input,
  maybe,
  of,
  one_of,
  output,
  pick,
  range,
  struct,
  vma,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { fd_pidfd, fd_signal } from './resources.ts';
import { FD, FD_FLAGS, PID, SIGINFO, SIGINFO_OUT, SIGNAL, SIGSET, SIGSET_IN, SIGSET_SIZE, TIMEOUT } from './structs.ts';

/** Ignored or default; a handler has no code to run in a program of calls, so its address only ends the task. */
const HANDLER = choice(
  'handler',
  arg('standard', one_of(pick(abi_signal, 'SIG_DFL', 'SIG_IGN'))),
  arg('address', vma(1, 1)),
);
const SIGACTION = struct(
  'sigaction',
  arg('handler', HANDLER),
  arg('flags', flags(pick(abi_signal, 'SA_'))),
  arg('restorer', fixed(0)),
  arg('mask', SIGSET),
);
const STACK = struct(
  'stack_t',
  arg('ss_sp', maybe(vma(1, 4))),
  arg('ss_flags', flags(pick(abi_signal, 'SS_'), 4)),
  arg('ss_size', range(0, 0x4000)),
);
const SIGACTION_SIZE = 32;
const sigset_size = arg('sigsetsize', SIGSET_SIZE);

export const SIGNAL_CALLS: readonly CallDescription[] = [
  call('rt_sigaction', [
    arg('signum', SIGNAL),
    arg('act', maybe(input(SIGACTION))),
    arg('oldact', maybe(output(bytes(SIGACTION_SIZE)))),
    sigset_size,
  ]),
  call('rt_sigprocmask', [
    arg('how', one_of(pick(abi_signal, 'SIG_BLOCK', 'SIG_UNBLOCK', 'SIG_SETMASK'))),
    arg('set', maybe(SIGSET_IN)),
    arg('oldset', maybe(output(SIGSET))),
    sigset_size,
  ]),
  call('rt_sigpending', [arg('set', output(SIGSET)), sigset_size]),
  call('rt_sigtimedwait', [
    arg('set', SIGSET_IN),
    arg('info', maybe(output(SIGINFO_OUT))),
    arg('timeout', TIMEOUT),
    sigset_size,
  ]),
  call('rt_sigsuspend', [arg('mask', SIGSET_IN), sigset_size], undefined, { rare: true }),
  call('rt_sigreturn', [], undefined, {
    by_hand: 'it restores registers from a frame, and a program of calls has none',
  }),
  call('restart_syscall', [], undefined, { by_hand: 'the kernel makes it, after a stop' }),
  call('pause', [], undefined, { rare: true }),
  call('sigaltstack', [arg('ss', maybe(input(STACK))), arg('old_ss', maybe(output(bytes(24))))]),
  call('kill', [arg('pid', PID), arg('sig', SIGNAL)], undefined, { rare: true }),
  call('tkill', [arg('tid', PID), arg('sig', SIGNAL)], undefined, { rare: true }),
  call('tgkill', [arg('tgid', PID), arg('tid', PID), arg('sig', SIGNAL)], undefined, { rare: true }),
  call('rt_sigqueueinfo', [arg('tgid', PID), arg('sig', SIGNAL), arg('info', input(SIGINFO))], undefined, {
    rare: true,
  }),
  call(
    'rt_tgsigqueueinfo',
    [arg('tgid', PID), arg('tid', PID), arg('sig', SIGNAL), arg('info', input(SIGINFO))],
    undefined,
    { rare: true },
  ),
  call(
    'pidfd_send_signal',
    [arg('pidfd', of(fd_pidfd)), arg('sig', SIGNAL), arg('info', maybe(input(SIGINFO))), arg('flags', range(0, 0))],
    undefined,
    { rare: true },
  ),
  call('signalfd', [arg('fd', FD), arg('mask', SIGSET_IN), arg('size', SIGSET_SIZE)], fd_signal),
  call(
    'signalfd4',
    [arg('fd', FD), arg('mask', SIGSET_IN), arg('size', SIGSET_SIZE), arg('flags', FD_FLAGS)],
    fd_signal,
  ),
];
