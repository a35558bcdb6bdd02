/** Descriptions of calls on open files and descriptors. */
import * as abi_fcntl from '../../engine/abi/fcntl.ts';
import * as abi_path from '../../engine/abi/path.ts';
import {
  arg,
  array,
  blob,
  both,
  fixed,
  flags,
  input,
  int64,
  len,
  maybe,
  of,
  one_of,
  output,
  pick,
  range,
  struct,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { fd, fd_file, fd_memfd, fd_pipe, fd_pipe_read, fd_pipe_write } from './resources.ts';
import {
  BUFFER_IN,
  BUFFER_OUT,
  FD,
  FD_FLAGS,
  FLOCK,
  IOVEC_IN,
  IOVEC_OUT,
  LENGTH,
  OFFSET,
  OPEN_FLAGS,
  PID,
  SIGNAL,
} from './structs.ts';
import type { Type } from './types.ts';

const RWF = flags({ RWF_HIPRI: 1, RWF_DSYNC: 2, RWF_SYNC: 4, RWF_NOWAIT: 8, RWF_APPEND: 16, RWF_NOAPPEND: 32 });
const WHENCE = one_of(pick(abi_path, 'SEEK_'));
const VECTOR_IN = input(array(IOVEC_IN));
const VECTOR_OUT = input(array(IOVEC_OUT));
const OFFSET_POINTER = maybe(input(OFFSET));
const SPLICE_FLAGS = flags({ SPLICE_F_MOVE: 1, SPLICE_F_NONBLOCK: 2, SPLICE_F_MORE: 4, SPLICE_F_GIFT: 8 });
const PIPE_FDS = output(struct('pipefd', arg('rfd', of(fd_pipe_read)), arg('wfd', of(fd_pipe_write))));

const IO: readonly CallDescription[] = [
  call('read', [arg('fd', FD), arg('buf', BUFFER_OUT), arg('count', len('buf'))]),
  call('write', [arg('fd', FD), arg('buf', BUFFER_IN), arg('count', len('buf'))]),
  call('pread64', [arg('fd', FD), arg('buf', BUFFER_OUT), arg('count', len('buf')), arg('offset', OFFSET)]),
  call('pwrite64', [arg('fd', FD), arg('buf', BUFFER_IN), arg('count', len('buf')), arg('offset', OFFSET)]),
  call('readv', [arg('fd', FD), arg('iov', VECTOR_OUT), arg('iovcnt', len('iov'))]),
  call('writev', [arg('fd', FD), arg('iov', VECTOR_IN), arg('iovcnt', len('iov'))]),
  call('preadv', [arg('fd', FD), arg('iov', VECTOR_OUT), arg('iovcnt', len('iov')), arg('offset', OFFSET)]),
  call('pwritev', [arg('fd', FD), arg('iov', VECTOR_IN), arg('iovcnt', len('iov')), arg('offset', OFFSET)]),
  call('preadv2', [
    arg('fd', FD),
    arg('iov', VECTOR_OUT),
    arg('iovcnt', len('iov')),
    arg('offset', OFFSET),
    arg('high', range(0, 0)),
    arg('flags', RWF),
  ]),
  call('pwritev2', [
    arg('fd', FD),
    arg('iov', VECTOR_IN),
    arg('iovcnt', len('iov')),
    arg('offset', OFFSET),
    arg('high', range(0, 0)),
    arg('flags', RWF),
  ]),
  call('lseek', [arg('fd', FD), arg('offset', OFFSET), arg('whence', WHENCE)]),
  call('sendfile', [arg('out', FD), arg('in', FD), arg('offset', OFFSET_POINTER), arg('count', LENGTH)]),
  call('splice', [
    arg('in', FD),
    arg('in_offset', OFFSET_POINTER),
    arg('out', FD),
    arg('out_offset', OFFSET_POINTER),
    arg('length', LENGTH),
    arg('flags', SPLICE_FLAGS),
  ]),
  call('tee', [arg('in', of(fd_pipe)), arg('out', of(fd_pipe)), arg('length', LENGTH), arg('flags', SPLICE_FLAGS)]),
  call('vmsplice', [
    arg('fd', of(fd_pipe)),
    arg('iov', VECTOR_IN),
    arg('count', len('iov')),
    arg('flags', SPLICE_FLAGS),
  ]),
  call('copy_file_range', [
    arg('in', of(fd_file)),
    arg('in_offset', OFFSET_POINTER),
    arg('out', of(fd_file)),
    arg('out_offset', OFFSET_POINTER),
    arg('length', LENGTH),
    arg('flags', range(0, 0)),
  ]),
];

const SPACE: readonly CallDescription[] = [
  call('flock', [arg('fd', FD), arg('operation', flags(pick(abi_path, 'LOCK_')))]),
  call('fsync', [arg('fd', FD)]),
  call('fdatasync', [arg('fd', FD)]),
  call('syncfs', [arg('fd', FD)]),
  call('sync'),
  call('sync_file_range', [arg('fd', FD), arg('offset', OFFSET), arg('length', LENGTH), arg('flags', range(0, 7))]),
  call('ftruncate', [arg('fd', FD), arg('length', OFFSET)]),
  call('fallocate', [
    arg('fd', FD),
    arg('mode', flags(pick(abi_path, 'FALLOC_FL_'))),
    arg('offset', OFFSET),
    arg('length', LENGTH),
  ]),
  call('readahead', [arg('fd', FD), arg('offset', OFFSET), arg('count', LENGTH)]),
  call('fadvise64', [arg('fd', FD), arg('offset', OFFSET), arg('length', LENGTH), arg('advice', range(0, 5))]),
];

const DESCRIPTORS: readonly CallDescription[] = [
  call('close', [arg('fd', FD)]),
  call('close_range', [
    arg('first', FD),
    arg('last', FD),
    arg('flags', flags({ ...pick(abi_fcntl, 'CLOSE_RANGE_'), zero: 0 })),
  ]),
  call('dup', [arg('fd', FD)], fd),
  call('dup2', [arg('from', FD), arg('to', FD)], fd),
  call('dup3', [arg('from', FD), arg('to', FD), arg('flags', FD_FLAGS)], fd),
  call('pipe', [arg('fds', PIPE_FDS)]),
  call('pipe2', [
    arg('fds', PIPE_FDS),
    arg('flags', flags({ ...pick(abi_fcntl, 'O_CLOEXEC', 'O_NONBLOCK', 'O_DIRECT') })),
  ]),
  call(
    'memfd_create',
    [arg('name', input(blob(1, 16))), arg('flags', flags({ MFD_CLOEXEC: 1, MFD_ALLOW_SEALING: 2, MFD_EXEC: 16 }))],
    fd_memfd,
  ),
];

const COMMANDS = { ...abi_fcntl };

/** A variant of fcntl(2) with the command of that name. */
function fcntl(name: keyof typeof abi_fcntl, argument: Type = range(0, 0)): CallDescription {
  return call(
    `fcntl$${name}`,
    [arg('fd', FD), arg('command', fixed(COMMANDS[name])), arg('argument', argument)],
    name.startsWith('F_DUPFD') ? fd : undefined,
  );
}

const OWNER = struct('f_owner_ex', arg('type', range(0, 2, 4)), arg('pid', PID));

const FCNTL: readonly CallDescription[] = [
  call('fcntl', [arg('fd', FD), arg('command', one_of(pick(abi_fcntl, 'F_'))), arg('argument', int64)]),
  fcntl('F_DUPFD', FD),
  fcntl('F_DUPFD_CLOEXEC', FD),
  fcntl('F_GETFD'),
  fcntl('F_SETFD', flags({ FD_CLOEXEC: abi_fcntl.FD_CLOEXEC })),
  fcntl('F_GETFL'),
  fcntl('F_SETFL', OPEN_FLAGS),
  fcntl('F_GETLK', both(FLOCK)),
  fcntl('F_SETLK', input(FLOCK)),
  fcntl('F_SETLKW', input(FLOCK)),
  fcntl('F_OFD_GETLK', both(FLOCK)),
  fcntl('F_OFD_SETLK', input(FLOCK)),
  fcntl('F_OFD_SETLKW', input(FLOCK)),
  fcntl('F_SETOWN', PID),
  fcntl('F_GETOWN'),
  fcntl('F_SETOWN_EX', input(OWNER)),
  fcntl('F_GETOWN_EX', output(OWNER)),
  fcntl('F_SETSIG', SIGNAL),
  fcntl('F_GETSIG'),
  fcntl('F_SETPIPE_SZ', range(0, 0x2_0000)),
  fcntl('F_GETPIPE_SZ'),
  fcntl('F_ADD_SEALS', flags({ F_SEAL_SEAL: 1, F_SEAL_SHRINK: 2, F_SEAL_GROW: 4, F_SEAL_WRITE: 8 })),
  fcntl('F_GET_SEALS'),
  fcntl('F_SETLEASE', range(0, 2)),
  fcntl('F_GETLEASE'),
];

export const FILE_CALLS: readonly CallDescription[] = [...IO, ...SPACE, ...DESCRIPTORS, ...FCNTL];
