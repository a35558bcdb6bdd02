/**
 * mount(2) and umount2(2), for root inside the machine.
 */
import { CAP_SYS_ADMIN } from '../abi/capability.ts';
import { EBUSY, EINVAL, ENODEV, ENOENT, ENOMEM, ENOTDIR, EPERM } from '../abi/errno.ts';
import { AT_FDCWD } from '../abi/fcntl.ts';
import {
  MNT_DETACH,
  MNT_EXPIRE,
  MNT_FORCE,
  MS_BIND,
  MS_MGC_MASK,
  MS_MGC_VALUE,
  MS_MOVE,
  MS_NOATIME,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REMOUNT,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  UMOUNT_NOFOLLOW,
} from '../abi/mount.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_length, bytes_read } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { arg_lo, arg_u64 } from '../kernel/args.ts';
import { current } from '../kernel/current.ts';
import { Task } from '../kernel/task.layout.ts';
import { copy_in_string } from '../mm/uaccess.ts';
import { mount_attach, mount_detach } from '../vfs/mount.ts';
import { is_directory, is_symlink, LOOKUP_FOLLOW } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { capable } from '../vfs/permission.ts';
import { filesystem_types, sb_get, sb_put } from '../vfs/super.ts';
import {
  Dentry,
  MOUNT_DETACHED,
  MOUNT_NOATIME,
  MOUNT_NODEV,
  MOUNT_NOEXEC,
  MOUNT_NOSUID,
  MOUNT_READ_ONLY,
  Mount,
  SuperBlock,
} from '../vfs/vfs.layout.ts';
import { resolve } from './file_paths.ts';
import { partial, type SyscallRow } from './row.ts';

const STRING_MAX = 4096;
const target = module_path_ref();
const source_ref = module_path_ref();

/** A string argument (one character a byte), '' for a null pointer, or -errno. */
function string_arg(address: number): string | number {
  if (address === 0) return '';
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const length = copy_in_string(address, page, STRING_MAX);
  const text = length < 0 ? length : bytes_read(page, bytes_length(page, STRING_MAX));
  heap_page_free(page);
  return text;
}

/** The mount's own flags from those of mount(2). */
function mount_flags(flags: number): number {
  return (
    (flags & MS_RDONLY ? MOUNT_READ_ONLY : 0) |
    (flags & MS_NOSUID ? MOUNT_NOSUID : 0) |
    (flags & MS_NODEV ? MOUNT_NODEV : 0) |
    (flags & MS_NOEXEC ? MOUNT_NOEXEC : 0) |
    (flags & MS_NOATIME ? MOUNT_NOATIME : 0)
  );
}

/** Attaches a superblock's tree (reference taken over) at `target`: 0 or -errno. */
function attach(sb: Ptr<'SuperBlock'>, root: Ptr<'Dentry'>, flags: number, source: string): number {
  const at = Dentry.inode.get(target.dentry);
  let result = 0;
  // Nothing is mounted on a link: of these only /proc's can be reached (Linux's dont_mount).
  if (is_symlink(at)) result = -ENOENT;
  else if (is_directory(Dentry.inode.get(root)) !== is_directory(at)) result = -ENOTDIR;
  else result = mount_attach(sb, root, flags, target.mount, target.dentry, source);
  if (result < 0) sb_put(sb);
  return Math.min(result, 0);
}

function new_mount(source: string, flags: number): number {
  const type_name = string_arg(arg_u64(2));
  const options = string_arg(arg_u64(4));
  if (typeof type_name === 'number') return type_name;
  if (typeof options === 'number') return options;
  const type = filesystem_types().find(({ name, mount }) => name === type_name && mount !== undefined);
  if (type?.mount === undefined) return -ENODEV;
  const sb = type.mount(source, flags, options);
  if (sb < 0) return sb;
  return attach(sb as Ptr<'SuperBlock'>, SuperBlock.root.get(sb as Ptr<'SuperBlock'>), mount_flags(flags), source);
}

function bind_mount(): number {
  const result = resolve(AT_FDCWD, arg_u64(0), LOOKUP_FOLLOW, source_ref);
  if (result !== 0) return result;
  const inherited = Mount.flags.load(source_ref.mount) & ~MOUNT_DETACHED;
  const sb = sb_get(Mount.sb.get(source_ref.mount));
  const attached = attach(sb, source_ref.dentry, inherited, 'none');
  source_ref.put();
  return attached;
}

function remount(flags: number): number {
  if (Mount.root.get(target.mount) !== target.dentry) return -EINVAL;
  const all = MOUNT_READ_ONLY | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC | MOUNT_NOATIME;
  Mount.flags.and(target.mount, ~all);
  Mount.flags.or(target.mount, mount_flags(flags));
  return 0;
}

function sys_mount(): number {
  let flags = arg_lo(3);
  if ((flags & MS_MGC_MASK) >>> 0 === MS_MGC_VALUE) flags &= ~MS_MGC_MASK;
  if (!capable(Task.credentials.get(current), CAP_SYS_ADMIN)) return -EPERM;
  const source = string_arg(arg_u64(0));
  if (typeof source === 'number') return source;
  let result = resolve(AT_FDCWD, arg_u64(1), LOOKUP_FOLLOW, target);
  if (result !== 0) return result;
  if ((flags & MS_REMOUNT) !== 0) result = remount(flags);
  else if ((flags & MS_BIND) !== 0) result = bind_mount();
  // There is one mount tree, so propagation has nowhere to go.
  else if ((flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) !== 0) result = 0;
  else if ((flags & MS_MOVE) !== 0) result = -EINVAL;
  else result = new_mount(source, flags);
  target.put();
  return result;
}

function sys_umount2(): number {
  const flags = arg_lo(1);
  if ((flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) !== 0) return -EINVAL;
  if ((flags & MNT_EXPIRE) !== 0) return -EINVAL;
  if (!capable(Task.credentials.get(current), CAP_SYS_ADMIN)) return -EPERM;
  const result = resolve(AT_FDCWD, arg_u64(0), (flags & UMOUNT_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW, target);
  if (result !== 0) return result;
  let answer = 0;
  if (Mount.root.get(target.mount) !== target.dentry) answer = -EINVAL;
  else if (Mount.parent.get(target.mount) === 0) answer = -EBUSY;
  else answer = mount_detach(target.mount, 1, (flags & MNT_DETACH) !== 0);
  target.put();
  return answer;
}

export const MOUNT_ROWS: readonly SyscallRow[] = [
  partial(
    165,
    'mount',
    'one mount tree for the machine; MS_MOVE and recursive binds are not supported',
    sys_mount,
    'source:string',
    'target:path',
    'type:string',
    'flags:ulong',
    'data:ptr',
  ),
  partial(166, 'umount2', 'MNT_EXPIRE is not supported', sys_umount2, 'target:path', 'flags:int'),
];
