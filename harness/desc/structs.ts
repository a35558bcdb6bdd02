/** Structures and values that calls of several families use. Layouts are those of x86-64 Linux. */
import * as abi_fcntl from '../../engine/abi/fcntl.ts';
import * as abi_poll from '../../engine/abi/poll.ts';
import * as abi_signal from '../../engine/abi/signal.ts';
import * as abi_stat from '../../engine/abi/stat.ts';
import * as abi_time from '../../engine/abi/time.ts';
import {
  arg,
  array,
  blob,
  bytes,
  bytesize,
  choice,
  filename,
  fixed,
  flags,
  input,
  int32,
  int64,
  maybe,
  of,
  one_of,
  output,
  pick,
  range,
  string,
  struct,
  union,
  varying,
  vma,
  written,
} from './build.ts';
import { fd, fd_dir, gid, pid, timer, uid } from './resources.ts';

export const OPEN_FLAGS = flags(pick(abi_fcntl, 'O_'));
/** FD_CLOEXEC and O_NONBLOCK, which most calls that make descriptors take. */
export const FD_FLAGS = flags({ O_CLOEXEC: abi_fcntl.O_CLOEXEC, O_NONBLOCK: abi_fcntl.O_NONBLOCK });
export const AT_FLAGS = flags(pick(abi_fcntl, 'AT_SYMLINK', 'AT_REMOVEDIR', 'AT_NO_', 'AT_EMPTY'));
const POLL_EVENTS = pick(abi_poll, 'POLL');
export const CLOCK = one_of(pick(abi_time, 'CLOCK_'));

/** Permission bits, with the three special ones. */
export const MODE = flags({
  ...{ S_IRUSR: 0o400, S_IWUSR: 0o200, S_IXUSR: 0o100, S_IRGRP: 0o40, S_IWGRP: 0o20, S_IXGRP: 0o10 },
  ...{ S_IROTH: 4, S_IWOTH: 2, S_IXOTH: 1 },
  ...pick(abi_stat, 'S_ISUID', 'S_ISGID', 'S_ISVTX'),
});
/** The type of a node, for mknod(2). */
export const NODE_TYPE = pick(abi_stat, 'S_IFREG', 'S_IFCHR', 'S_IFBLK', 'S_IFIFO', 'S_IFSOCK');

export const FD = of(fd);
export const DIRFD = of(fd_dir);
export const PID = of(pid);
export const UID = of(uid);
export const GID = of(gid);

/** A path of the program's own, or one that exists in every machine. */
export const PATH = input(filename('./f0', './f1', './f0/f1', '.', '..', '/', '/dev/null', '/proc/self', '/tmp'));

/** A signal that leaves the task alive unless it says otherwise, or any other now and then. */
export const SIGNAL = range(0, abi_signal.NSIG, 4);
/** A set of signals: two words of 32. */
export const SIGSET = int64;
export const SIGSET_SIZE = fixed(8);
export const SIGSET_IN = input(SIGSET);

/** Any buffer the kernel fills. */
export const BUFFER_OUT = output(blob());
export const BUFFER_IN = input(blob());

/** The result of stat(2) and its kind: the kernel fills it. */
export const STAT_OUT = output(
  written(
    abi_stat.STAT_SIZE,
    struct(
      'stat',
      arg('st_dev', varying(int64, 'device')),
      arg('st_ino', varying(int64, 'inode')),
      arg('st_nlink', int64),
      arg('st_mode', int32),
      arg('st_uid', int32),
      arg('st_gid', int32),
      arg('pad0', int32),
      arg('st_rdev', int64),
      arg('st_size', int64),
      arg('st_blksize', int64),
      arg('st_blocks', int64),
      arg('times', varying(bytes(48), 'time')),
      arg('unused', bytes(24)),
    ),
  ),
);

export const OFFSET = range(-1, 0x1_0000);
export const LENGTH = range(0, 0x1_0000);

const SECONDS = varying(range(-1, 60), 'time');
const NANOSECONDS = varying(range(0, 999_999_999), 'time');
export const TIMESPEC = struct('timespec', arg('tv_sec', SECONDS), arg('tv_nsec', NANOSECONDS));
export const TIMEVAL = struct('timeval', arg('tv_sec', SECONDS), arg('tv_usec', varying(range(0, 999_999), 'time')));
export const ITIMERSPEC = struct('itimerspec', arg('it_interval', TIMESPEC), arg('it_value', TIMESPEC));
export const ITIMERVAL = struct('itimerval', arg('it_interval', TIMEVAL), arg('it_value', TIMEVAL));
/** How long to wait: mostly given, so that few programs sleep for ever. */
export const TIMEOUT = maybe(input(TIMESPEC));
/** Milliseconds; -1 is for ever. */
export const TIMEOUT_MS = range(-1, 1000, 4);

export const POLLFD = struct(
  'pollfd',
  arg('fd', FD),
  arg('events', flags(POLL_EVENTS, 2)),
  arg('revents', range(0, 0, 2), 'out'),
);

export const IOVEC_IN = struct('iovec_in', arg('base', input(blob())), arg('length', bytesize('base')));
export const IOVEC_OUT = struct('iovec_out', arg('base', output(blob())), arg('length', bytesize('base')));

/** siginfo_t as rt_sigqueueinfo(2) reads it: 128 bytes. */
export const SIGINFO = struct(
  'siginfo',
  arg('si_signo', SIGNAL),
  arg('si_errno', int32),
  arg('si_code', one_of(pick(abi_signal, 'SI_'), 4)),
  arg('pad', fixed(0, 4)),
  arg('si_pid', PID),
  arg('si_uid', UID),
  arg('si_value', int64),
  arg('rest', bytes(96)),
);

/** siginfo_t as the kernel writes it for a signal that a process sent, or of a child. */
export const SIGINFO_OUT = written(
  128,
  struct(
    'siginfo_out',
    arg('si_signo', int32),
    arg('si_errno', int32),
    arg('si_code', int32),
    arg('pad', int32),
    arg('si_pid', PID),
    arg('si_uid', int32),
    arg('si_status', int32),
    arg('rest', bytes(100)),
  ),
);

/** struct sigevent: 64 bytes, of which the kernel reads the first 20. */
export const SIGEVENT = struct(
  'sigevent',
  arg('sigev_value', int64),
  arg('sigev_signo', SIGNAL),
  arg('sigev_notify', one_of({ SIGEV_SIGNAL: 0, SIGEV_NONE: 1, SIGEV_THREAD: 2, SIGEV_THREAD_ID: 4 }, 4)),
  arg('sigev_tid', PID),
  arg('rest', bytes(44)),
);
export const TIMER = of(timer);

export const FLOCK = struct(
  'flock',
  arg('l_type', one_of({ F_RDLCK: 0, F_WRLCK: 1, F_UNLCK: 2 }, 2)),
  arg('l_whence', one_of({ SEEK_SET: 0, SEEK_CUR: 1, SEEK_END: 2 }, 2)),
  arg('l_start', OFFSET),
  arg('l_len', OFFSET),
  arg('l_pid', PID),
);

export const RLIMIT = struct('rlimit', arg('rlim_cur', int64), arg('rlim_max', int64));

/** argv and envp: a few strings and the null that ends them. */
export const STRINGS = input(
  struct('strings', arg('words', array(input(string('f0', '-c', 'A=1')), 0, 3)), arg('end', fixed(0))),
);

/** An address in the data area, as a value of a field. */
export const ADDRESS = maybe(vma(1, 4));

/** An argument that is a number to some and a pointer to others. */
export const ANY_ARGUMENT = choice(
  'any_argument',
  arg('number', int64),
  arg('buffer', input(blob(0, 256))),
  arg('result', output(blob(0, 256))),
);

/** struct epoll_event is packed: 12 bytes. */
export const EPOLL_DATA = union('epoll_data', arg('fd', FD), arg('u64', int64));
