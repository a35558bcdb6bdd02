/** Descriptions of calls that wait for events: poll, select, epoll, eventfd, inotify. */
import * as abi_poll from '../../engine/abi/poll.ts';
import {
  arg,
  array,
  blob,
  both,
  bytes,
  fixed,
  flags,
  input,
  int64,
  len,
  maybe,
  of,
  one_of,
  output,
  packed,
  pick,
  range,
  struct,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { fd_epoll, fd_event, fd_inotify, watch } from './resources.ts';
import {
  EPOLL_DATA,
  FD,
  FD_FLAGS,
  PATH,
  POLLFD,
  SIGSET_IN,
  SIGSET_SIZE,
  TIMEOUT,
  TIMEOUT_MS,
  TIMEVAL,
} from './structs.ts';

const POLLFDS = both(array(POLLFD));
const FD_SET = maybe(both(bytes(128)));
const MASK_ARGUMENT = struct('pselect_mask', arg('set', maybe(SIGSET_IN)), arg('size', fixed(8)));
const sets = [arg('nfds', range(0, 64, 4)), arg('read', FD_SET), arg('write', FD_SET), arg('except', FD_SET)];

const EPOLL_BITS = flags(pick(abi_poll, 'POLL', 'EPOLLE', 'EPOLLONESHOT', 'EPOLLWAKEUP'), 4);
const EPOLL_EVENT = packed('epoll_event', arg('events', EPOLL_BITS), arg('data', EPOLL_DATA));
const EPOLL_EVENTS = output(array(packed('epoll_event_out', arg('raw', bytes(12)))));
const EPFD = of(fd_epoll);
const wait = [arg('epfd', EPFD), arg('events', EPOLL_EVENTS), arg('maxevents', len('events'))];
const mask = [arg('mask', maybe(SIGSET_IN)), arg('size', SIGSET_SIZE)];

const EVENT_FLAGS = flags({ EFD_SEMAPHORE: 1, EFD_NONBLOCK: 0o4000, EFD_CLOEXEC: 0o2000000 });
/** The counter's corners: 2^64 - 2 is the most it holds, 2^64 - 1 is refused. */
const EVENT_VALUE = one_of({ none: 0, one: 1, most: 0xffff_ffff_ffff_fffen, error: 0xffff_ffff_ffff_ffffn });
const INOTIFY_MASK = flags({
  ...{ ACCESS: 1, MODIFY: 2, ATTRIB: 4, CLOSE_WRITE: 8, CLOSE_NOWRITE: 16, OPEN: 32, MOVED_FROM: 64 },
  ...{ MOVED_TO: 128, CREATE: 256, DELETE: 512, DELETE_SELF: 1024, MOVE_SELF: 2048 },
  ...{ ONLYDIR: 1 << 24, DONT_FOLLOW: 1 << 25, EXCL_UNLINK: 1 << 26, MASK_ADD: 1 << 29, ONESHOT: 2 ** 31 },
});

export const EVENT_CALLS: readonly CallDescription[] = [
  call('poll', [arg('fds', POLLFDS), arg('nfds', len('fds')), arg('timeout', TIMEOUT_MS)]),
  call('ppoll', [arg('fds', POLLFDS), arg('nfds', len('fds')), arg('timeout', TIMEOUT), ...mask]),
  call('select', [...sets, arg('timeout', maybe(both(TIMEVAL)))]),
  call('pselect6', [...sets, arg('timeout', TIMEOUT), arg('mask', maybe(input(MASK_ARGUMENT)))]),
  call('epoll_create', [arg('size', range(1, 10))], fd_epoll),
  call('epoll_create1', [arg('flags', FD_FLAGS)], fd_epoll),
  ...Object.entries(pick(abi_poll, 'EPOLL_CTL_')).map(([name, op]) =>
    call(`epoll_ctl$${name}`, [
      arg('epfd', EPFD),
      arg('op', fixed(op)),
      arg('fd', FD),
      arg('event', name === 'EPOLL_CTL_DEL' ? maybe(input(EPOLL_EVENT)) : input(EPOLL_EVENT)),
    ]),
  ),
  call('epoll_wait', [...wait, arg('timeout', TIMEOUT_MS)]),
  call('epoll_pwait', [...wait, arg('timeout', TIMEOUT_MS), ...mask]),
  call('epoll_pwait2', [...wait, arg('timeout', TIMEOUT), ...mask]),
  call('eventfd', [arg('initval', range(0, 2))], fd_event),
  call('eventfd2', [arg('initval', range(0, 2)), arg('flags', EVENT_FLAGS)], fd_event),
  call('write$eventfd', [arg('fd', of(fd_event)), arg('value', input(EVENT_VALUE)), arg('count', len('value'))]),
  call('read$eventfd', [arg('fd', of(fd_event)), arg('value', output(int64)), arg('count', len('value'))]),
  call('inotify_init', [], fd_inotify),
  call('inotify_init1', [arg('flags', FD_FLAGS)], fd_inotify),
  call('inotify_add_watch', [arg('fd', of(fd_inotify)), arg('path', PATH), arg('mask', INOTIFY_MASK)], watch),
  call('inotify_rm_watch', [arg('fd', of(fd_inotify)), arg('wd', of(watch))]),
  call('read$inotify', [arg('fd', of(fd_inotify)), arg('buf', output(blob(0, 512))), arg('count', len('buf'))]),
];
