/** Descriptions of calls on clocks and timers. */
import * as abi_time from '../../engine/abi/time.ts';
import { arg, bytes, flags, input, int64, maybe, of, one_of, output, pick, range, struct, varying } from './build.ts';
import { type CallDescription, call } from './call.ts';
import { fd_timer, timer } from './resources.ts';
import { CLOCK, FD_FLAGS, ITIMERSPEC, ITIMERVAL, SIGEVENT, TIMER, TIMESPEC, TIMEVAL } from './structs.ts';

const clock = arg('clockid', CLOCK);
const ITIMER = one_of(pick(abi_time, 'ITIMER_'));
const ABSOLUTE = flags({ TIMER_ABSTIME: abi_time.TIMER_ABSTIME });
const TIMER_OUT = output(struct('timer_out', arg('timerid', of(timer))));
const TIMEZONE = maybe(output(bytes(8)));

export const TIME_CALLS: readonly CallDescription[] = [
  call('nanosleep', [arg('req', input(TIMESPEC)), arg('rem', maybe(output(TIMESPEC)))]),
  call('clock_nanosleep', [
    clock,
    arg('flags', ABSOLUTE),
    arg('req', input(TIMESPEC)),
    arg('rem', maybe(output(TIMESPEC))),
  ]),
  call('clock_gettime', [clock, arg('tp', output(TIMESPEC))]),
  call('clock_settime', [clock, arg('tp', input(TIMESPEC))]),
  call('clock_getres', [clock, arg('res', maybe(output(TIMESPEC)))]),
  call('clock_adjtime', [clock, arg('buf', output(bytes(208)))]),
  call('adjtimex', [arg('buf', output(bytes(208)))]),
  call('gettimeofday', [arg('tv', maybe(output(TIMEVAL))), arg('tz', TIMEZONE)]),
  call('settimeofday', [arg('tv', maybe(input(TIMEVAL))), arg('tz', maybe(input(bytes(8))))]),
  call('time', [arg('tloc', maybe(output(varying(int64, 'time'))))]),
  call('times', [arg('buf', maybe(output(varying(bytes(32), 'time'))))]),
  call('alarm', [arg('seconds', range(0, 60))]),
  call('getitimer', [arg('which', ITIMER), arg('value', output(ITIMERVAL))]),
  call('setitimer', [arg('which', ITIMER), arg('new', maybe(input(ITIMERVAL))), arg('old', maybe(output(ITIMERVAL)))]),
  call('timer_create', [clock, arg('sevp', maybe(input(SIGEVENT))), arg('timerid', TIMER_OUT)]),
  call('timer_settime', [
    arg('timerid', TIMER),
    arg('flags', ABSOLUTE),
    arg('new', input(ITIMERSPEC)),
    arg('old', maybe(output(ITIMERSPEC))),
  ]),
  call('timer_gettime', [arg('timerid', TIMER), arg('value', output(ITIMERSPEC))]),
  call('timer_getoverrun', [arg('timerid', TIMER)]),
  call('timer_delete', [arg('timerid', TIMER)]),
  call('timerfd_create', [clock, arg('flags', FD_FLAGS)], fd_timer),
  call('timerfd_settime', [
    arg('fd', of(fd_timer)),
    arg('flags', flags({ TFD_TIMER_ABSTIME: 1, TFD_TIMER_CANCEL_ON_SET: 2 })),
    arg('new', input(ITIMERSPEC)),
    arg('old', maybe(output(ITIMERSPEC))),
  ]),
  call('timerfd_gettime', [arg('fd', of(fd_timer)), arg('value', output(ITIMERSPEC))]),
];
