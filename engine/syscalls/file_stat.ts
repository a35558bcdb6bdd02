/**
 * Asking about files: the stat family, access, readlink, statfs.
 */
import { CAP_DAC_READ_SEARCH } from '../abi/capability.ts';
import { EBADF, EFAULT, EINVAL, ENOENT, ENOMEM } from '../abi/errno.ts';
import { AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW } from '../abi/fcntl.ts';
import { MS_NOATIME, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, ST_RELATIME, ST_VALID } from '../abi/mount.ts';
import { AT_STATX_SYNC_TYPE, NAME_MAX } from '../abi/path.ts';
import {
  dev_major,
  dev_minor,
  encode_dev,
  STAT_SIZE,
  STATFS_SIZE,
  STATX_ATTR_MOUNT_ROOT,
  STATX_BASIC_STATS,
  STATX_BTIME,
  STATX_MNT_ID,
  STATX_RESERVED,
  STATX_SIZE,
} from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { file_inode, file_status } from '../fs/anon/attributes.ts';
import { bytes_zero } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U16, U32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u32, arg_u64 } from '../kernel/args.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { credentials_slab } from '../kernel/credentials.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_file } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_out, get_user_u8 } from '../mm/uaccess.ts';
import { inode_accessed } from '../vfs/access_time.ts';
import { File } from '../vfs/file.layout.ts';
import { fs_cwd } from '../vfs/fs_context.ts';
import { inode_operations } from '../vfs/inode.ts';
import { is_symlink, LOOKUP_EMPTY, LOOKUP_FOLLOW, path_walk } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { capable, inode_permission, MAY_EXEC, MAY_READ, MAY_WRITE, path_permission } from '../vfs/permission.ts';
import { FileStatus, inode_status } from '../vfs/stat.ts';
import { type FilesystemStatistics, filesystem_type } from '../vfs/super.ts';
import {
  Dentry,
  Inode,
  MOUNT_NOATIME,
  MOUNT_NODEV,
  MOUNT_NOEXEC,
  MOUNT_NOSUID,
  MOUNT_READ_ONLY,
  Mount,
  SB_READ_ONLY,
  SuperBlock,
} from '../vfs/vfs.layout.ts';
import { begin_path, context, drop_path, is_nameless, resolve, take_path } from './file_paths.ts';
import { full, type SyscallRow } from './row.ts';

const status = new FileStatus();
const ref = module_path_ref();

/** Stores an integer of +-2^53 as 64 bits. */
export function put64(address: number, value: number): void {
  U32[address >> 2] = value;
  // Most values fit a word; dividing each of them took a fifth of a stat.
  U32[(address >> 2) + 1] = value >= 0 && value < 4294967296 ? 0 : Math.floor(value / 4294967296);
}

/** Lays out struct stat from `status` and hands it to the guest. */
function put_stat(address: number): number {
  const at = Vcpu.scratch.at(current_vcpu);
  const word = at >> 2;
  bytes_zero(at, STAT_SIZE);
  U32[word] = encode_dev(status.dev);
  put64(at + 8, status.ino);
  U32[word + 4] = status.nlink;
  U32[word + 6] = status.mode;
  U32[word + 7] = status.uid;
  U32[word + 8] = status.gid;
  U32[word + 10] = encode_dev(status.rdev);
  put64(at + 48, status.size);
  U32[word + 14] = status.block_size;
  put64(at + 64, status.blocks);
  put_time(at + 72, status.atime, status.atime_ns);
  put_time(at + 88, status.mtime, status.mtime_ns);
  put_time(at + 104, status.ctime, status.ctime_ns);
  return copy_out(address, at, STAT_SIZE);
}

let mount_id = 0;
let mount_root = false;

/** Fills `status` for a path, or for the descriptor itself when the path is empty and that is allowed. */
function status_at(dirfd: number, address: number, flags: number): number {
  const empty_allowed = (flags & AT_EMPTY_PATH) !== 0;
  mount_id = 0;
  mount_root = false;
  if (empty_allowed && dirfd !== AT_FDCWD && (address === 0 || get_user_u8(address) === 0)) return status_of(dirfd);
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0;
  // No path at all is an empty one (since 6.11).
  if (empty_allowed && address === 0) fs_cwd(Task.fs.get(current), ref);
  else {
    const result = resolve(dirfd, address, follow | (empty_allowed ? LOOKUP_EMPTY : 0), ref, empty_allowed);
    if (result !== 0) return result;
  }
  mount_id = Mount.id.get(ref.mount);
  mount_root = Mount.root.get(ref.mount) === ref.dentry;
  const answer = inode_status(Dentry.inode.get(ref.dentry), status);
  ref.put();
  return answer;
}

function status_of(fd: number): number {
  const file = fd_file(fd);
  if (file === 0) return -EBADF;
  const mount = File.mount.get(file);
  if (mount !== 0) mount_id = Mount.id.get(mount);
  return file_status(file, status);
}

function sys_stat(): number {
  const result = status_at(AT_FDCWD, arg_u64(0), 0);
  return result !== 0 ? result : put_stat(arg_u64(1));
}

function sys_lstat(): number {
  const result = status_at(AT_FDCWD, arg_u64(0), AT_SYMLINK_NOFOLLOW);
  return result !== 0 ? result : put_stat(arg_u64(1));
}

function sys_fstat(): number {
  const result = status_of(arg_i32(0));
  return result !== 0 ? result : put_stat(arg_u64(1));
}

function sys_newfstatat(): number {
  const flags = arg_lo(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const result = status_at(arg_i32(0), arg_u64(1), flags);
  return result !== 0 ? result : put_stat(arg_u64(2));
}

function put_time(at: number, seconds: number, nanoseconds: number): void {
  put64(at, seconds);
  U32[(at + 8) >> 2] = nanoseconds;
}

function sys_statx(): number {
  const flags = arg_lo(2);
  const known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
  if ((flags & ~known) !== 0 || (flags & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE) return -EINVAL;
  if ((arg_u32(3) & STATX_RESERVED) !== 0) return -EINVAL;
  const result = status_at(arg_i32(0), arg_u64(1), flags);
  if (result !== 0) return result;
  const at = Vcpu.scratch.at(current_vcpu);
  bytes_zero(at, STATX_SIZE);
  const word = at >> 2;
  U32[word] = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
  U32[word + 1] = status.block_size;
  put64(at + 8, mount_root ? STATX_ATTR_MOUNT_ROOT : 0);
  U32[word + 4] = status.nlink;
  U32[word + 5] = status.uid;
  U32[word + 6] = status.gid;
  U16[(at + 28) >> 1] = status.mode;
  put64(at + 32, status.ino);
  put64(at + 40, status.size);
  put64(at + 48, status.blocks);
  put64(at + 56, STATX_ATTR_MOUNT_ROOT);
  put_time(at + 64, status.atime, status.atime_ns);
  put_time(at + 80, status.btime, status.btime_ns);
  put_time(at + 96, status.ctime, status.ctime_ns);
  put_time(at + 112, status.mtime, status.mtime_ns);
  U32[word + 32] = dev_major(status.rdev);
  U32[word + 33] = dev_minor(status.rdev);
  U32[word + 34] = dev_major(status.dev);
  U32[word + 35] = dev_minor(status.dev);
  put64(at + 144, mount_id);
  return copy_out(arg_u64(4), at, STATX_SIZE);
}

/**
 * Credentials with the real ids in the place of the file system ids, as access(2) asks for: 0 when the
 * heap is exhausted. Root keeps its permitted capabilities, others have none.
 */
function real_credentials(own: Ptr<'Credentials'>): Ptr<'Credentials'> {
  const c = credentials_slab.alloc();
  if (c === 0) return c;
  Credentials.fsuid.set(c, Credentials.uid.get(own));
  Credentials.fsgid.set(c, Credentials.gid.get(own));
  const groups = Credentials.group_count.get(own);
  Credentials.group_count.set(c, groups);
  for (let i = 0; i < groups; i++)
    U32[(Credentials.groups.at(c) >> 2) + i] = U32[(Credentials.groups.at(own) >> 2) + i] as number;
  if (Credentials.uid.get(own) === 0)
    Credentials.cap_effective.set_parts(c, Credentials.cap_permitted.lo(own), Credentials.cap_permitted.hi(own));
  return c;
}

function do_access(dirfd: number, address: number, mode: number, flags: number): number {
  if ((mode & ~7) !== 0) return -EINVAL;
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const empty = (flags & AT_EMPTY_PATH) !== 0;
  const path = take_path(address, empty);
  if (path < 0) return path;
  let result = begin_path(dirfd, path);
  const own = context.credentials;
  const effective = (flags & AT_EACCESS) !== 0;
  const credentials = result !== 0 || effective ? own : real_credentials(own);
  if (result === 0 && credentials === 0) result = -ENOMEM;
  const mask = (mode & 1 ? MAY_EXEC : 0) | (mode & 2 ? MAY_WRITE : 0) | (mode & 4 ? MAY_READ : 0);
  const nameless = result === 0 && is_nameless(path);
  if (nameless) {
    const inode = file_inode(context.start);
    result = inode === 0 ? -ENOMEM : inode_permission(inode, mask, credentials);
  } else if (result === 0) {
    context.credentials = credentials;
    const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0;
    result = path_walk(context, path, follow | (empty ? LOOKUP_EMPTY : 0), ref);
  }
  drop_path(path);
  if (result === 0 && !nameless) {
    result = path_permission(ref.mount, Dentry.inode.get(ref.dentry), mask, credentials);
    ref.put();
  }
  if (credentials !== 0 && credentials !== own) credentials_slab.free(credentials);
  return result;
}

function sys_access(): number {
  return do_access(AT_FDCWD, arg_u64(0), arg_i32(1), 0);
}

/** faccessat(2): the system call has no flags argument. */
function sys_faccessat(): number {
  return do_access(arg_i32(0), arg_u64(1), arg_i32(2), 0);
}

function sys_faccessat2(): number {
  return do_access(arg_i32(0), arg_u64(1), arg_i32(2), arg_lo(3));
}

function do_readlink(dirfd: number, address: number, buffer: number, size: number): number {
  if (size <= 0) return -EINVAL;
  const empty = get_user_u8(address) === 0;
  if (empty && dirfd !== AT_FDCWD) {
    const file = fd_file(dirfd);
    if (file !== 0 && File.dentry.get(file) === 0) return -ENOENT;
  }
  const result = resolve(dirfd, address, LOOKUP_EMPTY, ref, dirfd !== AT_FDCWD);
  if (result !== 0) return result;
  const inode = Dentry.inode.get(ref.dentry);
  const read_link = inode_operations(inode).read_link;
  // An empty path that is no link is an absent file, not an invalid one.
  let length = empty ? -ENOENT : -EINVAL;
  if (is_symlink(inode) && read_link !== undefined) {
    inode_accessed(ref.mount, inode);
    const page = heap_page_alloc();
    length = page === 0 ? -ENOMEM : read_link(inode, page, Math.min(size, 4096));
    if (length > 0 && copy_out(buffer, page, length) < 0) length = -EFAULT;
    if (page !== 0) heap_page_free(page);
  }
  ref.put();
  return length;
}

function sys_readlink(): number {
  return do_readlink(AT_FDCWD, arg_u64(0), arg_u64(1), arg_i32(2));
}

function sys_readlinkat(): number {
  return do_readlink(arg_i32(0), arg_u64(1), arg_u64(2), arg_i32(3));
}

/** The mount's flags as statfs(2) and /proc/mounts show them. */
function statfs_flags(mount: Ptr<'Mount'>): number {
  const flags = Mount.flags.load(mount);
  const read_only =
    (flags & MOUNT_READ_ONLY) !== 0 || (SuperBlock.flags.load(Mount.sb.get(mount)) & SB_READ_ONLY) !== 0;
  return (
    ST_VALID |
    (read_only ? MS_RDONLY : 0) |
    (flags & MOUNT_NOSUID ? MS_NOSUID : 0) |
    (flags & MOUNT_NODEV ? MS_NODEV : 0) |
    (flags & MOUNT_NOEXEC ? MS_NOEXEC : 0) |
    (flags & MOUNT_NOATIME ? MS_NOATIME : ST_RELATIME)
  );
}

function put_statfs(sb: Ptr<'SuperBlock'>, flags: number, address: number): number {
  const out: FilesystemStatistics = {
    magic: SuperBlock.magic.get(sb),
    block_size: 4096,
    blocks: 0,
    blocks_free: 0,
    files: 0,
    files_free: 0,
  };
  filesystem_type(sb).statistics?.(sb, out);
  const at = Vcpu.scratch.at(current_vcpu);
  bytes_zero(at, STATFS_SIZE);
  const words = [out.magic, out.block_size, out.blocks, out.blocks_free, out.blocks_free, out.files, out.files_free];
  words.forEach((word, i) => {
    put64(at + i * 8, word);
  });
  U32[(at + 56) >> 2] = SuperBlock.dev.get(sb);
  put64(at + 64, NAME_MAX);
  put64(at + 72, out.block_size);
  put64(at + 80, flags);
  return copy_out(address, at, STATFS_SIZE);
}

function sys_statfs(): number {
  const result = resolve(AT_FDCWD, arg_u64(0), LOOKUP_FOLLOW, ref);
  if (result !== 0) return result;
  const answer = put_statfs(Mount.sb.get(ref.mount), statfs_flags(ref.mount), arg_u64(1));
  ref.put();
  return answer;
}

function sys_fstatfs(): number {
  const file = fd_file(arg_i32(0));
  if (file === 0) return -EBADF;
  const mount = File.mount.get(file);
  if (mount !== 0) return put_statfs(Mount.sb.get(mount), statfs_flags(mount), arg_u64(1));
  const inode = file_inode(file);
  return inode === 0 ? -ENOMEM : put_statfs(Inode.sb.get(inode), ST_VALID, arg_u64(1));
}

/**
 * Whether the current task may link what a descriptor names (linkat's AT_EMPTY_PATH): it opened the file with the
 * credentials that it has, or may search everywhere.
 */
export function may_link_by_descriptor(file: Ptr<'File'>): boolean {
  if (File.opener.get(file) === Task.credentials_number.get(current)) return true;
  return capable(Task.credentials.get(current), CAP_DAC_READ_SEARCH);
}

export const STAT_ROWS: readonly SyscallRow[] = [
  full(4, 'stat', sys_stat, 'path:path', 'statbuf:outstruct(stat)'),
  full(5, 'fstat', sys_fstat, 'fd:fd', 'statbuf:outstruct(stat)'),
  full(6, 'lstat', sys_lstat, 'path:path', 'statbuf:outstruct(stat)'),
  full(21, 'access', sys_access, 'path:path', 'mode:flags(access)'),
  full(89, 'readlink', sys_readlink, 'path:path', 'buf:out(2)', 'size:int'),
  full(137, 'statfs', sys_statfs, 'path:path', 'buf:outstruct(statfs)'),
  full(138, 'fstatfs', sys_fstatfs, 'fd:fd', 'buf:outstruct(statfs)'),
  full(262, 'newfstatat', sys_newfstatat, 'dirfd:dirfd', 'path:path', 'statbuf:outstruct(stat)', 'flags:flags(at)'),
  full(267, 'readlinkat', sys_readlinkat, 'dirfd:dirfd', 'path:path', 'buf:out(3)', 'size:int'),
  full(269, 'faccessat', sys_faccessat, 'dirfd:dirfd', 'path:path', 'mode:flags(access)'),
  full(332, 'statx', sys_statx, 'dirfd:dirfd', 'path:path', 'flags:flags(at)', 'mask:uint', 'buf:outstruct(statx)'),
  full(439, 'faccessat2', sys_faccessat2, 'dirfd:dirfd', 'path:path', 'mode:flags(access)', 'flags:flags(at)'),
];
