/** Descriptions of calls that programs seldom make. Plain ones: what they refuse is most of what they do. */
import {
  arg,
  array,
  blob,
  bytes,
  bytesize,
  flags,
  input,
  int32,
  int64,
  len,
  maybe,
  of,
  output,
  range,
  string,
  struct,
  vma,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { aio_context, fd, fd_file, fd_mount, fd_pidfd } from './resources.ts';
import { ADDRESS, DIRFD, FD, FD_FLAGS, IOVEC_OUT, LENGTH, OFFSET, PATH, PID, TIMEOUT } from './structs.ts';

const pages = arg('addr', vma());
const length = arg('length', len('addr'));
const NODE_MASK = maybe(input(int64));
const NONE = range(0, 0);
const MQ_NAME = arg('name', input(string('/q0', '/q1')));
const MQ_ATTR = struct(
  'mq_attr',
  arg('flags', int64),
  arg('maxmsg', range(0, 10)),
  arg('msgsize', range(0, 64)),
  arg('rest', bytes(40)),
);
const FUTEX2_FLAGS = flags({ SIZE_U32: 2, NUMA: 4, PRIVATE: 128 });

const NUMA: readonly CallDescription[] = [
  call('mbind', [
    pages,
    length,
    arg('mode', range(0, 6)),
    arg('mask', NODE_MASK),
    arg('maxnode', range(0, 64)),
    arg('flags', range(0, 7)),
  ]),
  call('set_mempolicy', [arg('mode', range(0, 6)), arg('mask', NODE_MASK), arg('maxnode', range(0, 64))]),
  call('get_mempolicy', [
    arg('mode', maybe(output(int32))),
    arg('mask', maybe(output(int64))),
    arg('maxnode', range(0, 64)),
    arg('addr', ADDRESS),
    arg('flags', range(0, 7)),
  ]),
  call('migrate_pages', [arg('pid', PID), arg('maxnode', range(0, 64)), arg('from', NODE_MASK), arg('to', NODE_MASK)]),
  call('move_pages', [
    arg('pid', PID),
    arg('count', range(0, 4)),
    arg('pages', ADDRESS),
    arg('nodes', ADDRESS),
    arg('status', ADDRESS),
    arg('flags', range(0, 7)),
  ]),
  call('set_mempolicy_home_node', [pages, length, arg('node', range(0, 2)), arg('flags', NONE)]),
];

const MEMORY: readonly CallDescription[] = [
  call('process_madvise', [
    arg('pidfd', of(fd_pidfd)),
    arg('iov', input(array(IOVEC_OUT, 0, 4))),
    arg('count', len('iov')),
    arg('advice', range(0, 25)),
    arg('flags', NONE),
  ]),
  call('process_mrelease', [arg('pidfd', of(fd_pidfd)), arg('flags', NONE)]),
  call('memfd_secret', [arg('flags', FD_FLAGS)], fd_file),
  call('userfaultfd', [arg('flags', FD_FLAGS)], fd),
  call('cachestat', [
    arg('fd', FD),
    arg('range', input(struct('cachestat_range', arg('offset', OFFSET), arg('length', LENGTH)))),
    arg('stat', output(bytes(40))),
    arg('flags', NONE),
  ]),
  call('map_shadow_stack', [pages, length, arg('flags', range(0, 1))]),
];

const TASKS: readonly CallDescription[] = [
  call('ioprio_set', [arg('which', range(1, 3)), arg('who', PID), arg('ioprio', range(0, 0x7fff))]),
  call('ioprio_get', [arg('which', range(1, 3)), arg('who', PID)]),
  call('modify_ldt', [arg('func', range(0, 17)), arg('ptr', output(blob(0, 64))), arg('size', len('ptr'))]),
  call('set_thread_area', [arg('info', input(bytes(16)))]),
  call('get_thread_area', [arg('info', output(bytes(16)))]),
  call('iopl', [arg('level', range(0, 3))]),
  call('ioperm', [arg('from', range(0, 0xffff)), arg('num', range(0, 16)), arg('on', range(0, 1))]),
  call('vhangup'),
  call('futex_wake', [arg('uaddr', ADDRESS), arg('mask', int64), arg('nr', range(0, 2)), arg('flags', FUTEX2_FLAGS)]),
  call('futex_wait', [
    arg('uaddr', ADDRESS),
    arg('val', range(0, 2)),
    arg('mask', int64),
    arg('flags', FUTEX2_FLAGS),
    arg('timeout', TIMEOUT),
    arg('clockid', range(0, 1)),
  ]),
  call('futex_requeue', [
    arg('waiters', ADDRESS),
    arg('flags', NONE),
    arg('wake', range(0, 2)),
    arg('requeue', range(0, 2)),
  ]),
];

const QUEUES: readonly CallDescription[] = [
  call(
    'mq_open',
    [
      MQ_NAME,
      arg('flags', flags({ O_WRONLY: 1, O_RDWR: 2, O_CREAT: 0o100, O_EXCL: 0o200 })),
      arg('mode', range(0, 0o777)),
      arg('attr', maybe(input(MQ_ATTR))),
    ],
    fd,
  ),
  call('mq_unlink', [MQ_NAME]),
  call('mq_timedsend', [
    arg('mqd', FD),
    arg('msg', input(blob(0, 64))),
    arg('len', len('msg')),
    arg('prio', range(0, 3)),
    arg('timeout', TIMEOUT),
  ]),
  call('mq_timedreceive', [
    arg('mqd', FD),
    arg('msg', output(blob(0, 64))),
    arg('len', len('msg')),
    arg('prio', maybe(output(int32))),
    arg('timeout', TIMEOUT),
  ]),
  call('mq_notify', [arg('mqd', FD), arg('sevp', maybe(input(bytes(64))))]),
  call('mq_getsetattr', [arg('mqd', FD), arg('new', maybe(input(MQ_ATTR))), arg('old', maybe(output(MQ_ATTR)))]),
  call('io_setup', [arg('events', range(1, 8)), arg('context', output(struct('aio_out', arg('id', of(aio_context)))))]),
  call('io_destroy', [arg('context', of(aio_context))]),
  call('io_getevents', [
    arg('context', of(aio_context)),
    arg('min', range(0, 2)),
    arg('max', range(0, 2)),
    arg('events', output(bytes(64))),
    arg('timeout', TIMEOUT),
  ]),
];

const MACHINE: readonly CallDescription[] = [
  call('ustat', [arg('dev', range(0, 64)), arg('buf', output(bytes(32)))]),
  call('sysfs', [arg('option', range(1, 3)), arg('first', range(0, 8)), arg('second', ADDRESS)]),
  call('acct', [arg('path', maybe(PATH))]),
  call('swapon', [arg('path', PATH), arg('flags', NONE)]),
  call('swapoff', [arg('path', PATH)]),
  call('quotactl', [arg('cmd', int32), arg('special', maybe(PATH)), arg('id', range(0, 1000)), arg('addr', ADDRESS)]),
  call('fsopen', [arg('fsname', input(string('tmpfs', 'proc'))), arg('flags', range(0, 1))], fd_mount),
  call('fsmount', [arg('fd', of(fd_mount)), arg('flags', range(0, 1)), arg('attributes', range(0, 15))], fd_mount),
  call('fspick', [arg('dirfd', DIRFD), arg('path', PATH), arg('flags', range(0, 15))], fd_mount),
  call('move_mount', [
    arg('from_dirfd', DIRFD),
    arg('from', PATH),
    arg('to_dirfd', DIRFD),
    arg('to', PATH),
    arg('flags', range(0, 0x77)),
  ]),
  call('mount_setattr', [
    arg('dirfd', DIRFD),
    arg('path', PATH),
    arg('flags', range(0, 0)),
    arg(
      'attr',
      input(
        struct('mount_attr', arg('set', int64), arg('clear', int64), arg('propagation', int64), arg('userns', int64)),
      ),
    ),
    arg('size', bytesize('attr')),
  ]),
  call(
    'reboot',
    ['magic', 'magic2', 'cmd', 'arg'].map((name) => arg(name, int64)),
    undefined,
    { by_hand: 'it ends the machine' },
  ),
];

export const SELDOM_CALLS: readonly CallDescription[] = [...NUMA, ...MEMORY, ...TASKS, ...QUEUES, ...MACHINE];
