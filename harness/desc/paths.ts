/** Descriptions of calls that name files: open, create, rename, attributes, mounts. */
import * as abi_fcntl from '../../engine/abi/fcntl.ts';
import * as abi_mount from '../../engine/abi/mount.ts';
import * as abi_path from '../../engine/abi/path.ts';
import * as abi_stat from '../../engine/abi/stat.ts';
import {
  arg,
  array,
  blob,
  both,
  bytes,
  bytesize,
  flags,
  input,
  int16,
  int32,
  int64,
  len,
  maybe,
  of,
  one_of,
  only_string,
  output,
  pick,
  proc,
  range,
  string,
  struct,
  varying,
  written,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { fd_device, fd_dir, fd_file, fd_kcov, fd_mount, fd_tty } from './resources.ts';
import {
  AT_FLAGS,
  BUFFER_OUT,
  DIRFD,
  FD,
  GID,
  MODE,
  NODE_TYPE,
  OFFSET,
  OPEN_FLAGS,
  PATH,
  STAT_OUT,
  TIMEVAL,
  UID,
} from './structs.ts';
import type { Field, Type } from './types.ts';

const path = arg('path', PATH);
const dirfd = arg('dirfd', DIRFD);
const mode = arg('mode', MODE);
const at_flags = arg('flags', AT_FLAGS);
const O_DIRECTORY = abi_fcntl.O_DIRECTORY;
const AT_FDCWD = range(-100, -100);
const RESOLVE = pick(abi_path, 'RESOLVE_NO', 'RESOLVE_BENEATH', 'RESOLVE_IN_ROOT', 'RESOLVE_CACHED');

/** The devices whose behaviour differs. */
const DEVICE = input(only_string('/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom'));
const PROC_FILE = input(
  only_string(
    '/proc/self/maps',
    '/proc/self/stat',
    '/proc/self/status',
    '/proc/self/mem',
    '/proc/self/fd',
    '/proc/mounts',
  ),
);
const OPEN_HOW = struct('open_how', arg('flags', OPEN_FLAGS), arg('mode', MODE), arg('resolve', flags(RESOLVE)));
const DIRECTORY_FLAGS = one_of({ O_DIRECTORY, O_PATH: O_DIRECTORY | abi_fcntl.O_PATH });

const OPEN: readonly CallDescription[] = [
  call('open', [path, arg('flags', OPEN_FLAGS), mode], fd_file),
  call('open$dir', [path, arg('flags', DIRECTORY_FLAGS), mode], fd_dir),
  call('creat', [path, mode], fd_file),
  call('openat', [dirfd, path, arg('flags', OPEN_FLAGS), mode], fd_file),
  call('openat$dir', [dirfd, path, arg('flags', DIRECTORY_FLAGS), mode], fd_dir),
  call('openat$dev', [arg('dirfd', AT_FDCWD), arg('path', DEVICE), arg('flags', OPEN_FLAGS), mode], fd_device),
  call('openat$proc', [arg('dirfd', AT_FDCWD), arg('path', PROC_FILE), arg('flags', OPEN_FLAGS), mode], fd_file),
  call(
    'openat$tty',
    [arg('dirfd', AT_FDCWD), arg('path', input(only_string('/dev/ptmx', '/dev/tty'))), arg('flags', OPEN_FLAGS), mode],
    fd_tty,
  ),
  call(
    'openat$kcov',
    [arg('dirfd', AT_FDCWD), arg('path', input(only_string('/sys/kernel/debug/kcov'))), arg('flags', OPEN_FLAGS), mode],
    fd_kcov,
  ),
  call('openat2', [dirfd, path, arg('how', input(OPEN_HOW)), arg('size', bytesize('how'))], fd_file),
];

/** The calls that take one pair of names. */
function two_names(...rest: Field[]): Field[] {
  return [arg('olddirfd', DIRFD), arg('oldpath', PATH), arg('newdirfd', DIRFD), arg('newpath', PATH), ...rest];
}

const NODE_MODE = flags({ ...NODE_TYPE, S_IRUSR: 0o400, S_IWUSR: 0o200, S_IXUSR: 0o100 });
const device_number = arg('dev', proc(0x100, 4));

const NAMES: readonly CallDescription[] = [
  call('rename', [arg('oldpath', PATH), arg('newpath', PATH)]),
  call('renameat', two_names()),
  call('renameat2', two_names(arg('flags', flags(pick(abi_path, 'RENAME_'))))),
  call('mkdir', [path, mode]),
  call('mkdirat', [dirfd, path, mode]),
  call('rmdir', [path]),
  call('link', [arg('oldpath', PATH), arg('newpath', PATH)]),
  call('linkat', two_names(at_flags)),
  call('unlink', [path]),
  call('unlinkat', [dirfd, path, at_flags]),
  call('symlink', [arg('target', PATH), arg('linkpath', PATH)]),
  call('symlinkat', [arg('target', PATH), arg('newdirfd', DIRFD), arg('linkpath', PATH)]),
  call('mknod', [path, arg('mode', NODE_MODE), device_number]),
  call('mknodat', [dirfd, path, arg('mode', NODE_MODE), device_number]),
  call('readlink', [path, arg('buf', BUFFER_OUT), arg('size', len('buf'))]),
  call('readlinkat', [dirfd, path, arg('buf', BUFFER_OUT), arg('size', len('buf'))]),
  call('truncate', [path, arg('length', OFFSET)]),
];

/** Inode numbers, positions and order are the file system's. */
const ENTRIES = output(varying(blob(), 'inode'));

const DIRECTORIES: readonly CallDescription[] = [
  call('getdents', [arg('fd', of(fd_dir)), arg('dirp', ENTRIES), arg('count', len('dirp'))]),
  call('getdents64', [arg('fd', of(fd_dir)), arg('dirp', ENTRIES), arg('count', len('dirp'))]),
  call('getcwd', [arg('buf', BUFFER_OUT), arg('size', len('buf'))]),
  call('chdir', [path]),
  call('fchdir', [arg('fd', of(fd_dir))]),
  call('chroot', [path]),
  call('umask', [arg('mask', MODE)]),
];

const UTIME = struct(
  'utime_spec',
  arg('sec', range(-1, 0x1_0000_0000)),
  arg('nsec', one_of({ zero: 0, most: 999_999_999, ...pick(abi_stat, 'UTIME_') })),
);
const UTIMES = maybe(input(array(UTIME, 2, 2)));
const TIMEVALS = maybe(input(array(TIMEVAL, 2, 2)));
const owners = [arg('owner', UID), arg('group', GID)];

const STATX_TIMES = varying(bytes(64), 'time');
const STATX_OUT = output(
  written(
    abi_stat.STATX_SIZE,
    struct(
      'statx',
      arg('stx_mask', varying(int32, 'machine')),
      arg('stx_blksize', int32),
      arg('stx_attributes', varying(int64, 'machine')),
      arg('stx_nlink', int32),
      arg('stx_uid', int32),
      arg('stx_gid', int32),
      arg('stx_mode', int16),
      arg('spare0', int16),
      arg('stx_ino', varying(int64, 'inode')),
      arg('stx_size', int64),
      arg('stx_blocks', int64),
      arg('stx_attributes_mask', varying(int64, 'machine')),
      arg('times', STATX_TIMES),
      arg('stx_rdev', int64),
      arg('stx_dev', varying(int64, 'device')),
      arg('rest', varying(bytes(112), 'machine')),
    ),
  ),
);
/** Sizes are the file system's; what is left is what identifies it. */
const STATFS_OUT = output(
  written(
    abi_stat.STATFS_SIZE,
    struct(
      'statfs',
      arg('f_type', int64),
      arg('f_bsize', int64),
      arg('counts', varying(bytes(40), 'amount')),
      arg('f_fsid', varying(int64, 'device')),
      arg('f_namelen', int64),
      arg('f_frsize', int64),
      arg('f_flags', varying(int64, 'machine')),
      arg('spare', bytes(32)),
    ),
  ),
);

const ATTRIBUTES: readonly CallDescription[] = [
  call('chmod', [path, mode]),
  call('fchmod', [arg('fd', FD), mode]),
  call('fchmodat', [dirfd, path, mode]),
  call('fchmodat2', [dirfd, path, mode, at_flags]),
  call('chown', [path, ...owners]),
  call('fchown', [arg('fd', FD), ...owners]),
  call('lchown', [path, ...owners]),
  call('fchownat', [dirfd, path, ...owners, at_flags]),
  call('utime', [path, arg('times', maybe(input(struct('utimbuf', arg('actime', int64), arg('modtime', int64)))))]),
  call('utimes', [path, arg('times', TIMEVALS)]),
  call('futimesat', [dirfd, path, arg('times', TIMEVALS)]),
  call('utimensat', [dirfd, maybe_path(), arg('times', UTIMES), at_flags]),
  call('access', [path, arg('mode', range(0, 7))]),
  call('faccessat', [dirfd, path, arg('mode', range(0, 7))]),
  call('faccessat2', [dirfd, path, arg('mode', range(0, 7)), at_flags]),
  call('stat', [path, arg('statbuf', STAT_OUT)]),
  call('lstat', [path, arg('statbuf', STAT_OUT)]),
  call('fstat', [arg('fd', FD), arg('statbuf', STAT_OUT)]),
  call('newfstatat', [dirfd, path, arg('statbuf', STAT_OUT), at_flags]),
  call('statx', [dirfd, path, at_flags, arg('mask', range(0, 0x3fff)), arg('buf', STATX_OUT)]),
  call('statfs', [path, arg('buf', STATFS_OUT)]),
  call('fstatfs', [arg('fd', FD), arg('buf', STATFS_OUT)]),
];

function maybe_path(): Field {
  return arg('path', maybe(PATH));
}

const XATTR_NAME = arg(
  'name',
  input(string('user.a', 'user.b', 'trusted.a', 'security.capability', 'system.posix_acl_access')),
);
const XATTR_VALUE = arg('value', input(blob(0, 64)));
const XATTR_FLAGS = arg('flags', flags({ XATTR_CREATE: 1, XATTR_REPLACE: 2 }));
const XATTR_BUFFER = output(blob(0, 256));

/** The twelve xattr calls: each of four by path, by path of a link, and by descriptor. */
function xattr_calls(prefix: string, subject: Type): CallDescription[] {
  const file = arg('file', subject);
  return [
    call(`${prefix}setxattr`, [file, XATTR_NAME, XATTR_VALUE, arg('size', len('value')), XATTR_FLAGS]),
    call(`${prefix}getxattr`, [file, XATTR_NAME, arg('value', XATTR_BUFFER), arg('size', len('value'))]),
    call(`${prefix}listxattr`, [file, arg('list', XATTR_BUFFER), arg('size', len('list'))]),
    call(`${prefix}removexattr`, [file, XATTR_NAME]),
  ];
}

const FILE_HANDLE = struct(
  'file_handle',
  arg('bytes', bytesize('handle', 4)),
  arg('type', int32),
  arg('handle', blob(0, 128)),
);
const MOUNT_FLAGS = flags(pick(abi_mount, 'MS_'));

const MOUNTS: readonly CallDescription[] = [
  call('mount', [
    arg('source', PATH),
    arg('target', PATH),
    arg('fstype', input(string('tmpfs', 'proc', 'sysfs', 'devpts', 'overlay'))),
    arg('flags', MOUNT_FLAGS),
    arg('data', maybe(input(string('size=4096', 'mode=0700')))),
  ]),
  call('umount2', [path, arg('flags', flags(pick(abi_mount, 'MNT_', 'UMOUNT_')))]),
  call('pivot_root', [arg('new_root', PATH), arg('put_old', PATH)]),
  call(
    'open_tree',
    [dirfd, path, arg('flags', flags({ OPEN_TREE_CLONE: 1, O_CLOEXEC: abi_fcntl.O_CLOEXEC }))],
    fd_mount,
  ),
  call('name_to_handle_at', [
    dirfd,
    path,
    arg('handle', both(FILE_HANDLE)),
    arg('mount_id', output(varying(int32, 'machine'))),
    at_flags,
  ]),
  call(
    'open_by_handle_at',
    [arg('mount_fd', FD), arg('handle', input(FILE_HANDLE)), arg('flags', OPEN_FLAGS)],
    fd_file,
  ),
];

export const PATH_CALLS: readonly CallDescription[] = [
  ...OPEN,
  ...NAMES,
  ...DIRECTORIES,
  ...ATTRIBUTES,
  ...xattr_calls('', PATH),
  ...xattr_calls('l', PATH),
  ...xattr_calls('f', FD),
  ...MOUNTS,
];
