/** Descriptions of ioctl(2), one variant for each request that some kind of file knows. */
import * as abi_ioctl from '../../engine/abi/ioctl.ts';
import { arg, bytes, fixed, input, int16, int32, int64, of, one_of, output, pick, range, struct } from './build.ts';
import { type CallDescription, call } from './call.ts';
import { fd_kcov, fd_tty } from './resources.ts';
import { FD } from './structs.ts';
import type { Resource, Type } from './types.ts';

const TERMIOS = bytes(36);
const WINSIZE = struct('winsize', arg('rows', int16), arg('columns', int16), arg('x', int16), arg('y', int16));
const NOTHING = range(0, 0);

const REQUESTS = { ...abi_ioctl };

/** The variant for one request of abi/ioctl.ts. */
function ioctl(name: keyof typeof abi_ioctl, argument: Type, file: Resource | undefined = undefined): CallDescription {
  return request(name, REQUESTS[name], argument, file);
}

function request(name: string, number: number, argument: Type, file: Resource | undefined): CallDescription {
  const on = file === undefined ? FD : of(file);
  return call(`ioctl$${name}`, [arg('fd', on), arg('request', fixed(number)), arg('argument', argument)]);
}

const KCOV_INIT_TRACE = 0x80086301;
const KCOV_ENABLE = 0x6364;
const KCOV_DISABLE = 0x6365;

export const IOCTL_CALLS: readonly CallDescription[] = [
  call('ioctl', [arg('fd', FD), arg('request', one_of(pick(abi_ioctl, 'T', 'F'))), arg('argument', int64)]),
  ioctl('FIONREAD', output(int32)),
  ioctl('FIONBIO', input(int32)),
  ioctl('FIOASYNC', input(int32)),
  ioctl('FIOCLEX', NOTHING),
  ioctl('FIONCLEX', NOTHING),
  ioctl('FIOQSIZE', output(int64)),
  ioctl('TCGETS', output(TERMIOS), fd_tty),
  ioctl('TCSETS', input(TERMIOS), fd_tty),
  ioctl('TCSETSW', input(TERMIOS), fd_tty),
  ioctl('TCSETSF', input(TERMIOS), fd_tty),
  ioctl('TCSBRK', range(0, 1), fd_tty),
  ioctl('TCSBRKP', range(0, 1), fd_tty),
  ioctl('TCXONC', range(0, 3), fd_tty),
  ioctl('TCFLSH', range(0, 2), fd_tty),
  ioctl('TIOCSCTTY', range(0, 1), fd_tty),
  ioctl('TIOCNOTTY', NOTHING, fd_tty),
  ioctl('TIOCGPGRP', output(int32), fd_tty),
  ioctl('TIOCSPGRP', input(int32), fd_tty),
  ioctl('TIOCGSID', output(int32), fd_tty),
  ioctl('TIOCOUTQ', output(int32), fd_tty),
  ioctl('TIOCGWINSZ', output(WINSIZE), fd_tty),
  ioctl('TIOCSWINSZ', input(WINSIZE), fd_tty),
  request('KCOV_INIT_TRACE', KCOV_INIT_TRACE, range(0, 0x2000), fd_kcov),
  request('KCOV_ENABLE', KCOV_ENABLE, range(0, 1), fd_kcov),
  request('KCOV_DISABLE', KCOV_DISABLE, NOTHING, fd_kcov),
];
