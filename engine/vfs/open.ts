/**
 * Opening a path: open(2), openat2(2). Blocking opens (FIFOs) answer as their opener does.
 */

import {
  EACCES,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENFILE,
  ENOENT,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  ETXTBSY,
} from '../abi/errno.ts';
import {
  FMODE_WRITE,
  O_ACCMODE,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_PATH,
  O_TRUNC,
} from '../abi/fcntl.ts';
import { IN_MODIFY, IN_OPEN } from '../abi/inotify.ts';
import { O_TMPFILE_BIT } from '../abi/path.ts';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISVTX } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { vfs_truncate } from './attributes.ts';
import { d_alloc, dput } from './dcache.ts';
import { special_open } from './device.ts';
import { File } from './file.layout.ts';
import { FILE_KIND_DIRECTORY, FILE_KIND_PATH, FILE_KIND_REGULAR, file_alloc, file_put } from './file.ts';
import { inode_operations, iput } from './inode.ts';
import { create_locked, inherit_owner, may_create, new_owner } from './namei.ts';
import { notify_create, notify_dentry } from './notify.ts';
import {
  is_directory,
  is_symlink,
  LAST_DOTDOT,
  LAST_NORMAL,
  LOOKUP_EMPTY,
  LOOKUP_FOLLOW,
  look_up_locked,
  type PathContext,
  path_walk,
  walker,
} from './path.ts';
import { NOT_PLAIN, walk_cached } from './path_cached.ts';
import { module_path_ref, type PathRef } from './path_ref.ts';
import {
  inode_permission,
  is_read_only,
  MAY_EXEC,
  MAY_READ,
  MAY_WRITE,
  owner_or_capable,
  path_permission,
} from './permission.ts';
import { tree_lock, tree_unlock } from './super.ts';
import { Dentry, Inode, MOUNT_NODEV, MOUNT_NOEXEC, Mount } from './vfs.layout.ts';

type D = Ptr<'Dentry'>;
const target = module_path_ref();

/**
 * Opens `path` (kernel memory) for `context`. `flags` are O_*, `mode` the permissions of a new file with
 * the umask already taken off. Returns the file with one reference, or -errno.
 */
export function vfs_open(context: PathContext, path: number, flags: number, mode: number): number {
  if ((flags & O_PATH) !== 0) return open_path(context, path, flags);
  if ((flags & O_TMPFILE_BIT) !== 0) return open_tmpfile(context, path, flags, mode);
  if ((flags & O_CREAT) !== 0 && (flags & O_DIRECTORY) !== 0) return -EINVAL;
  const makes = (flags & O_CREAT) !== 0;
  const plain = makes && (flags & O_EXCL) !== 0 ? NOT_PLAIN : walk_cached(context, path, false, target);
  if (plain === 0) return finish_open(context.credentials, flags, false);
  if (plain === -ENOENT && !makes) return plain;
  let created = false;
  was_created = false;
  let result = walker.begin(context, path, 0);
  while (result === 0) {
    result = walker.walk_parent();
    if (result !== 0) break;
    if (walker.last !== LAST_NORMAL) {
      if ((flags & O_CREAT) !== 0) result = (flags & O_EXCL) !== 0 ? -EEXIST : -EISDIR;
      else if (walker.last === LAST_DOTDOT) result = walker.dotdot();
      break;
    }
    const child = (flags & O_CREAT) !== 0 ? look_or_create(flags, mode) : walker.look_up();
    if (child < 0) {
      result = child;
      break;
    }
    created = was_created;
    const inode = Dentry.inode.get(child as D);
    if (inode === 0) {
      dput(child as D);
      result = -ENOENT;
      break;
    }
    if (!is_symlink(inode)) {
      result = walker.enter(child as D);
      break;
    }
    // A link in last position: O_EXCL finds a name that exists, O_NOFOLLOW refuses.
    if ((flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0) result = -EEXIST;
    else if ((flags & O_NOFOLLOW) !== 0 && !walker.trailing) result = refuse_link(inode, flags);
    if (result !== 0) {
      dput(child as D);
      break;
    }
    result = walker.follow(child as D);
    if (result === 0 && !walker.more()) break;
  }
  if (result === 0 && walker.trailing && !is_directory(Dentry.inode.get(walker.at.dentry))) result = -ENOTDIR;
  if (result === 0) target.set(walker.at.mount, walker.at.dentry);
  const credentials = walker.credentials;
  walker.end();
  if (result !== 0) return result;
  return finish_open(credentials, flags, created);
}

/**
 * Why a link is not opened: with O_CREAT, in a sticky directory that everybody may write to, first because it is somebody
 * else's (may_create_in_sticky).
 */
function refuse_link(link: Ptr<'Inode'>, flags: number): number {
  const directory = Dentry.inode.get(walker.at.dentry);
  const mode = Inode.mode.get(directory);
  const owner = Inode.uid.get(link);
  const foreign = owner !== Inode.uid.get(directory) && owner !== Credentials.fsuid.get(walker.credentials);
  return (flags & O_CREAT) !== 0 && (mode & S_ISVTX) !== 0 && (mode & 0o002) !== 0 && foreign ? -EACCES : -ELOOP;
}

let was_created = false;

/** O_CREAT: the last component's dentry, made when it is absent; sets `was_created`. */
function look_or_create(flags: number, mode: number): number {
  const { at } = walker;
  // A name with a slash behind it cannot be made as a file: open(2), EISDIR.
  if (walker.trailing) return -EISDIR;
  const cached = walker.look_up();
  if (cached < 0) return cached;
  if (Dentry.inode.get(cached as D) !== 0) {
    if ((flags & O_EXCL) !== 0 && !is_symlink(Dentry.inode.get(cached as D))) {
      dput(cached as D);
      return -EEXIST;
    }
    return cached;
  }
  dput(cached as D);
  const sb = Dentry.sb.get(at.dentry);
  tree_lock(sb);
  const child = look_up_locked(at.dentry, walker.name, walker.name_length);
  let result = child;
  if (child > 0 && Dentry.inode.get(child as D) === 0) {
    result = may_create(at.mount, at.dentry, walker.credentials);
    if (result === 0) result = create_locked(at.dentry, child as D, S_IFREG | mode, 0, walker.credentials);
    was_created = result === 0;
    if (was_created) notify_create(Dentry.inode.get(at.dentry), child as D, false);
    if (result === 0) result = child;
    else dput(child as D);
  } else if (child > 0 && (flags & O_EXCL) !== 0) {
    dput(child as D);
    result = -EEXIST;
  }
  tree_unlock(sb);
  return result;
}

/** Checks permissions on `target`, makes the file and consumes the references in `target`. */
function finish_open(credentials: Ptr<'Credentials'>, flags: number, created: boolean): number {
  const inode = Dentry.inode.get(target.dentry);
  let result = check_type(inode, flags);
  if (result === 0 && !created) result = check_access(inode, credentials, flags);
  if (result !== 0) {
    target.put();
    return result;
  }
  const mode = Inode.mode.get(inode) & S_IFMT;
  if ((flags & O_DIRECT) !== 0 && mode !== S_IFREG) {
    target.put();
    return -EINVAL;
  }
  const kind = mode === S_IFDIR ? FILE_KIND_DIRECTORY : FILE_KIND_REGULAR;
  const file = open_place(target, kind, flags);
  if (file < 0) return file;
  if ((flags & O_TRUNC) !== 0 && mode === S_IFREG && !created) {
    // Opened for reading only, the file is cut all the same, under the rules of writing (handle_truncate).
    result =
      (flags & O_ACCMODE) === 0 ? truncate_as_writer(inode, 0, credentials) : vfs_truncate(inode, 0, credentials);
    if (result !== 0) {
      file_put(file as Ptr<'File'>);
      return result;
    }
    notify_dentry(File.dentry.get(file as Ptr<'File'>), IN_MODIFY);
  }
  return file;
}

function check_type(inode: Ptr<'Inode'>, flags: number): number {
  const type = Inode.mode.get(inode) & S_IFMT;
  if ((flags & O_DIRECTORY) !== 0 && type !== S_IFDIR) return -ENOTDIR;
  if (type === S_IFLNK) return -ELOOP;
  if (type === S_IFDIR && ((flags & (O_CREAT | O_TRUNC)) !== 0 || (flags & O_ACCMODE) !== 0)) return -EISDIR;
  if (type === S_IFCHR && (Mount.flags.load(target.mount) & MOUNT_NODEV) !== 0) return -EACCES;
  return 0;
}

function access_of(flags: number): number {
  const access = flags & O_ACCMODE;
  let mask = access === 0 ? MAY_READ : access === 1 ? MAY_WRITE : MAY_READ | MAY_WRITE;
  if ((flags & O_TRUNC) !== 0) mask |= MAY_WRITE;
  return mask;
}

function check_access(inode: Ptr<'Inode'>, credentials: Ptr<'Credentials'>, flags: number): number {
  const result = path_permission(target.mount, inode, access_of(flags), credentials);
  if (result !== 0) return result;
  if ((flags & O_NOATIME) !== 0 && !owner_or_capable(inode, credentials)) return -EPERM;
  return 0;
}

/**
 * An open file over a dentry (referenced anew), with no permission check: kind and flags are the caller's.
 * The file system's `open`, or the device, may change the kind. Returns the file or -errno.
 */
export function open_dentry(mount: Ptr<'Mount'>, dentry: D, kind: number, flags: number): number {
  opened.set(mount, dentry);
  return open_place(opened, kind, flags);
}

const opened = module_path_ref();

/** As `open_dentry`, taking over the references of `place`. */
function open_place(place: PathRef, kind: number, flags: number): number {
  const file = file_alloc(kind, flags & ~(O_CREAT | O_EXCL | O_TRUNC));
  if (file === 0) {
    place.put();
    return -ENFILE;
  }
  const { dentry } = place;
  const inode = Dentry.inode.get(dentry);
  File.mount.set(file, place.mount);
  File.dentry.set(file, dentry);
  File.inode.set(file, inode);
  place.forget();
  if (kind === FILE_KIND_PATH) {
    File.mode.set(file, 0);
    File.flags.set(file, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
    return file;
  }
  const result = (Inode.mode.get(inode) & S_IFMT) === S_IFREG ? open_regular(inode, file) : open_other(inode, file);
  // The device has seen it; it is no status flag.
  File.flags.set(file, File.flags.get(file) & ~O_NOCTTY);
  if (result === 0) {
    notify_dentry(dentry, IN_OPEN);
    return file;
  }
  // Nothing was opened: the kind's release must not run.
  File.kind.set(file, FILE_KIND_PATH);
  file_put(file);
  return result;
}

function open_regular(inode: Ptr<'Inode'>, file: Ptr<'File'>): number {
  const { close, open, prepare_open } = inode_operations(inode);
  const writes = (File.mode.get(file) & FMODE_WRITE) !== 0;
  if (writes && !take_write_access(inode)) return -ETXTBSY;
  let result = prepare_open?.(inode, writes) ?? 0;
  if (result === 0 && open !== undefined) {
    result = open(inode, file);
    if (result !== 0) close?.(inode);
  }
  if (writes && result === 0) File.scratch.set(file, HOLDS_WRITE_ACCESS);
  else if (writes) put_write_access(inode);
  return result;
}

function open_other(inode: Ptr<'Inode'>, file: Ptr<'File'>): number {
  const { open } = inode_operations(inode);
  if (open !== undefined) return open(inode, file);
  return (Inode.mode.get(inode) & S_IFMT) === S_IFDIR ? 0 : special_open(inode, file);
}

/** Value of File.scratch of a regular file that counts among its inode's writers. */
export const HOLDS_WRITE_ACCESS = 1;
/** Value of File.scratch of a program's file: nobody may open it for writing while it is open. */
const DENIES_WRITE_ACCESS = 2;

/** Counts a writer; false when the file is being executed. */
export function take_write_access(inode: Ptr<'Inode'>): boolean {
  for (;;) {
    const count = Inode.writers.load(inode);
    if (count < 0) return false;
    if (Inode.writers.cas(inode, count, count + 1) === count) return true;
  }
}

/** Ends `take_write_access`. */
export function put_write_access(inode: Ptr<'Inode'>): void {
  Inode.writers.add(inode, -1);
}

/**
 * Truncates as if the file were opened for writing: 0 or -errno, -ETXTBSY for a running executable. Permissions are
 * the caller's business.
 */
export function truncate_as_writer(inode: Ptr<'Inode'>, size: number, credentials: Ptr<'Credentials'>): number {
  if (!take_write_access(inode)) return -ETXTBSY;
  const { close, prepare_open } = inode_operations(inode);
  let result = prepare_open?.(inode, true) ?? 0;
  if (result === 0) {
    result = vfs_truncate(inode, size, credentials);
    close?.(inode);
  }
  put_write_access(inode);
  return result;
}

/** Keeps writers out while this file of a program is open: 0, or -ETXTBSY when there are some. */
function deny_write_access(file: Ptr<'File'>): number {
  if (File.kind.get(file) !== FILE_KIND_REGULAR) return 0;
  const inode = File.inode.get(file);
  for (;;) {
    const count = Inode.writers.load(inode);
    if (count > 0) return -ETXTBSY;
    if (Inode.writers.cas(inode, count, count - 1) !== count) continue;
    File.scratch.set(file, DENIES_WRITE_ACCESS);
    return 0;
  }
}

/** Lets writers in again: at the file's release, or before, for an ELF interpreter once it is mapped (execve(2)). */
export function allow_write_access(file: Ptr<'File'>): void {
  if (File.scratch.get(file) !== DENIES_WRITE_ACCESS) return;
  File.scratch.set(file, 0);
  Inode.writers.add(File.inode.get(file), 1);
}

function open_path(context: PathContext, path: number, flags: number): number {
  const follow = (flags & O_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0;
  const result = path_walk(context, path, follow, target);
  if (result !== 0) return result;
  if ((flags & O_DIRECTORY) !== 0 && !is_directory(Dentry.inode.get(target.dentry))) {
    target.put();
    return -ENOTDIR;
  }
  return open_place(target, FILE_KIND_PATH, flags);
}

/** O_TMPFILE: an unnamed file in a directory (open(2)). */
function open_tmpfile(context: PathContext, path: number, flags: number, mode: number): number {
  if ((flags & O_DIRECTORY) === 0 || (flags & O_ACCMODE) === 0) return -EINVAL;
  let result = path_walk(context, path, LOOKUP_FOLLOW, target);
  if (result !== 0) return result;
  const dir = Dentry.inode.get(target.dentry);
  const tmpfile = is_directory(dir) ? inode_operations(dir).tmpfile : undefined;
  if (!is_directory(dir)) result = -ENOTDIR;
  else if (is_read_only(target.mount)) result = -EROFS;
  else result = inode_permission(dir, MAY_WRITE | MAY_EXEC, context.credentials);
  if (result === 0 && tmpfile === undefined) result = -EOPNOTSUPP;
  if (result !== 0 || tmpfile === undefined) {
    target.put();
    return result;
  }
  const sb = Dentry.sb.get(target.dentry);
  tree_lock(sb);
  inherit_owner(dir, S_IFREG | mode, context.credentials);
  const inode = tmpfile(dir, new_owner.mode, new_owner.uid, new_owner.gid);
  tree_unlock(sb);
  if (inode < 0) {
    target.put();
    return inode;
  }
  const dentry = d_alloc(target.dentry, 0, 0);
  if (dentry === 0) iput(inode as Ptr<'Inode'>);
  else Dentry.inode.set(dentry, inode as Ptr<'Inode'>);
  const file = dentry === 0 ? -ENFILE : open_dentry(target.mount, dentry, FILE_KIND_REGULAR, flags & ~O_DIRECTORY);
  if (dentry !== 0) dput(dentry);
  target.put();
  return file;
}

/** Opens a file for execution or as an interpreter: regular, executable, on a mount that allows it. */
export function vfs_open_exec(context: PathContext, path: number, follow: boolean): number {
  let result = path_walk(context, path, (follow ? LOOKUP_FOLLOW : 0) | LOOKUP_EMPTY, target);
  if (result !== 0) return result;
  const inode = Dentry.inode.get(target.dentry);
  const type = Inode.mode.get(inode) & S_IFMT;
  if (type === S_IFLNK) result = -ELOOP;
  else if (type !== S_IFREG || (Mount.flags.load(target.mount) & MOUNT_NOEXEC) !== 0) result = -EACCES;
  else result = inode_permission(inode, MAY_EXEC, context.credentials);
  const file = result === 0 ? open_dentry(target.mount, target.dentry, FILE_KIND_REGULAR, 0) : result;
  target.put();
  if (file < 0) return file;
  result = deny_write_access(file as Ptr<'File'>);
  if (result === 0) return file;
  file_put(file as Ptr<'File'>);
  return result;
}
