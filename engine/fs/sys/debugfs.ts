/**
 * debugfs (Documentation/filesystems/debugfs.rst) with its one file, kcov: in the instrumented build, mounted on
 * /sys/kernel/debug. Semantics of the file: Linux kernel/kcov.c; records and tracing: kernel/kcov.ts.
 */
import { EFAULT, EINVAL, ENOMEM, ENOTTY, ESPIPE } from '../../abi/errno.ts';
import { FMODE_STREAM } from '../../abi/fcntl.ts';
import {
  KCOV_DISABLE,
  KCOV_ENABLE,
  KCOV_INIT_TRACE,
  KCOV_REMOTE_AREA_SIZE,
  KCOV_REMOTE_COMMON_HANDLE,
  KCOV_REMOTE_ENABLE,
  KCOV_REMOTE_HANDLES,
  KCOV_REMOTE_MAX_HANDLES,
  KCOV_REMOTE_NUM_HANDLES,
  KCOV_REMOTE_TRACE_MODE,
  KCOV_TRACE_CMP,
  KCOV_TRACE_PC,
  KCOV_TRACING_CMP,
  KCOV_TRACING_PC,
} from '../../abi/kcov.ts';
import { DEBUGFS_MAGIC } from '../../abi/mount.ts';
import { READABLE, WRITABLE } from '../../abi/poll.ts';
import { S_IFREG } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { current } from '../../kernel/current.ts';
import {
  kcov_alloc,
  kcov_attach,
  kcov_disable,
  kcov_init,
  kcov_mapping,
  kcov_put,
  kcov_remote_enable,
  type RemoteHandle,
  register_kcov,
} from '../../kernel/kcov.ts';
import { get_user_u32 } from '../../mm/uaccess.ts';
import { File } from '../../vfs/file.layout.ts';
import { FILE_KIND_DEBUG, FILE_KIND_KCOV, no_transfer, register_file_operations } from '../../vfs/file.ts';
import { INODE_KIND_DEBUG } from '../../vfs/inode.ts';
import { FS_DEBUG } from '../../vfs/super.ts';
import { directory, number_tree, type PseudoNode } from '../pseudo/node.ts';
import { type PseudoFilesystem, register_pseudo } from '../pseudo/pseudo.ts';

const NUMBER_BASE = 3584;

function kcov_of(file: Ptr<'File'>): Ptr<'Kcov'> {
  return File.object.get(file) as Ptr<'Kcov'>;
}

/** Each open is a kcov of its own. */
function open(file: Ptr<'File'>): number {
  const kcov = kcov_alloc();
  if (kcov === 0) return -ENOMEM;
  File.kind.set(file, FILE_KIND_KCOV);
  File.object.set(file, kcov);
  File.mode.set(file, File.mode.get(file) | FMODE_STREAM);
  return 0;
}

/** KCOV_TRACE_* as the record's mode; -EINVAL (kcov_get_mode). */
function mode_of(kind: number): number {
  if (kind === KCOV_TRACE_PC) return KCOV_TRACING_PC;
  return kind === KCOV_TRACE_CMP ? KCOV_TRACING_CMP : -EINVAL;
}

function ioctl(file: Ptr<'File'>, command: number, argument: number): number {
  const kcov = kcov_of(file);
  switch (command) {
    case KCOV_INIT_TRACE:
      return kcov_init(kcov, argument);
    case KCOV_ENABLE:
      return kcov_attach(current, kcov, mode_of(argument));
    case KCOV_DISABLE:
      return argument === 0 ? kcov_disable(kcov) : -EINVAL;
    case KCOV_REMOTE_ENABLE:
      return remote_enable(kcov, argument);
    default:
      return -ENOTTY;
  }
}

const handle: { low: number; high: number } = { low: 0, high: 0 };

/** Reads a 64-bit handle into `handle`: 0 or -EFAULT. */
function read_handle(address: number): number {
  const low = get_user_u32(address);
  const high = get_user_u32(address + 4);
  if (low < 0 || high < 0) return -EFAULT;
  handle.low = low;
  handle.high = high;
  return 0;
}

/** Reads struct kcov_remote_arg: the number of handles first, which bounds the rest. */
function remote_enable(kcov: Ptr<'Kcov'>, address: number): number {
  const count = get_user_u32(address + KCOV_REMOTE_NUM_HANDLES);
  if (count < 0) return count;
  if (count > KCOV_REMOTE_MAX_HANDLES) return -EINVAL;
  const kind = get_user_u32(address + KCOV_REMOTE_TRACE_MODE);
  const words = get_user_u32(address + KCOV_REMOTE_AREA_SIZE);
  if (kind < 0 || words < 0 || read_handle(address + KCOV_REMOTE_COMMON_HANDLE) < 0) return -EFAULT;
  const common = { ...handle };
  const handles: RemoteHandle[] = [];
  for (let i = 0; i < count; i++) {
    if (read_handle(address + KCOV_REMOTE_HANDLES + i * 8) < 0) return -EFAULT;
    handles.push({ ...handle });
  }
  return kcov_remote_enable(kcov, mode_of(kind), words, handles, common);
}

const KCOV: PseudoNode = { name: 'kcov', mode: S_IFREG | 0o600, open };
const ROOT: PseudoNode = directory('', [KCOV], 0o700);

const DEBUGFS: PseudoFilesystem = {
  name: 'debugfs',
  magic: DEBUGFS_MAGIC,
  fs_kind: FS_DEBUG,
  inode_kind: INODE_KIND_DEBUG,
  file_kind: FILE_KIND_DEBUG,
  root: ROOT,
};

/** Installs debugfs and kcov, once a thread. */
export function register_debugfs(): void {
  number_tree(ROOT, NUMBER_BASE);
  register_pseudo(DEBUGFS);
  register_file_operations(FILE_KIND_KCOV, {
    name: 'kcov',
    read: no_transfer,
    write: no_transfer,
    poll: () => READABLE | WRITABLE,
    queue: () => 0 as Ptr<'WaitQueue'>,
    seek: () => -ESPIPE,
    ioctl,
    mmap: (file, _shared, _write, offset, length) => kcov_mapping(kcov_of(file), offset, length),
    fixed_size: true,
    release: (file) => kcov_put(kcov_of(file)),
  });
  register_kcov();
}
