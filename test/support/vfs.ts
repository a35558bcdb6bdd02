/**
 * A name space for unit tests: calls with JavaScript strings on behalf of one set of credentials,
 * answering 0 or a count, or -errno, as the system calls do.
 */
import '../../engine/fs/all.ts';
import { EINVAL } from '../../engine/abi/errno.ts';
import type { Ptr } from '../../engine/base/types.ts';
import { bytes_read, bytes_write } from '../../engine/heap/bytes.ts';
import { heap_page_alloc } from '../../engine/heap/heap_pages.ts';
import { U8, U32 } from '../../engine/heap/memory.ts';
import { slab } from '../../engine/heap/slab.ts';
import { Credentials } from '../../engine/kernel/credentials.layout.ts';
import { vfs_chmod, vfs_chown, vfs_truncate } from '../../engine/vfs/attributes.ts';
import { read_directory } from '../../engine/vfs/directory.ts';
import { File } from '../../engine/vfs/file.layout.ts';
import { file_put } from '../../engine/vfs/file.ts';
import { fs_context_create, fs_context_put, fs_set_cwd, fs_set_umask } from '../../engine/vfs/fs_context.ts';
import { inode_operations } from '../../engine/vfs/inode.ts';
import { kernel_read, kernel_write } from '../../engine/vfs/kernel_io.ts';
import { mount_attach, mount_detach } from '../../engine/vfs/mount.ts';
import { vfs_link, vfs_mkdir, vfs_mknod, vfs_rename, vfs_symlink, vfs_unlink } from '../../engine/vfs/namei.ts';
import { vfs_open } from '../../engine/vfs/open.ts';
import { is_symlink, LOOKUP_FOLLOW, PathContext, path_walk } from '../../engine/vfs/path.ts';
import { PathRef } from '../../engine/vfs/path_ref.ts';
import { register_current_credentials } from '../../engine/vfs/permission.ts';
import { vfs_boot, vfs_shutdown } from '../../engine/vfs/root.ts';
import { FileStatus, inode_status } from '../../engine/vfs/stat.ts';
import { Dentry, Mount, SuperBlock } from '../../engine/vfs/vfs.layout.ts';

const credentials_slab = slab(Credentials);

/** Credentials of `uid` and `gid` with no capability, or with all for root. */
export function make_credentials(uid: number, gid: number, groups: readonly number[] = []): Ptr<'Credentials'> {
  const c = credentials_slab.alloc();
  Credentials.refs.store(c, 1);
  for (const field of ['uid', 'euid', 'suid', 'fsuid'] as const) Credentials[field].set(c, uid);
  for (const field of ['gid', 'egid', 'sgid', 'fsgid'] as const) Credentials[field].set(c, gid);
  Credentials.group_count.set(c, groups.length);
  groups.forEach((group, i) => {
    U32[(Credentials.groups.at(c) >> 2) + i] = group;
  });
  if (uid === 0) Credentials.cap_effective.set_parts(c, 0xffffffff, 0x1ff);
  return c;
}

export interface Entry {
  name: string;
  ino: number;
  type: number;
}

/** A process's view of a mounted tree. Strings are Latin-1: one character a byte. */
export class TestSpace {
  readonly context = new PathContext();
  readonly status = new FileStatus();
  private readonly pages = [heap_page_alloc(), heap_page_alloc(), heap_page_alloc()];
  private readonly ref = new PathRef();
  readonly root_mount: Ptr<'Mount'>;

  /** A view of a tree that is mounted already. */
  static at_mount(mount: Ptr<'Mount'>): TestSpace {
    return new TestSpace(Mount.sb.get(mount), 0, mount);
  }

  /** Ends the view and leaves the mounts alone. */
  leave(): void {
    fs_context_put(this.context.fs);
  }

  /** Boots a name space on `sb`, whose reference it takes over, unless it is at `mounted` already. */
  constructor(sb: Ptr<'SuperBlock'>, umask = 0, mounted = 0 as Ptr<'Mount'>) {
    const root = SuperBlock.root.get(sb);
    const none = 0 as Ptr<'Mount'>;
    this.root_mount =
      mounted !== 0 ? mounted : (mount_attach(sb, root, 0, none, 0 as Ptr<'Dentry'>, 'test') as Ptr<'Mount'>);
    this.context.fs = fs_context_create(this.root_mount, root, umask);
    this.context.credentials = make_credentials(0, 0);
    register_current_credentials(() => this.context.credentials);
  }

  /** Unmounts everything and frees the name space; returns the result of the root's unmounting. */
  close(): number {
    fs_context_put(this.context.fs);
    const result = mount_detach(this.root_mount, 0, true);
    vfs_shutdown();
    return result;
  }

  as(uid: number, gid: number, groups: readonly number[] = []): void {
    this.context.credentials = make_credentials(uid, gid, groups);
  }

  private at(path: string, which = 0): number {
    const page = this.pages[which] as number;
    U8[page + bytes_write(page, path)] = 0;
    this.context.start = 0 as Ptr<'File'>;
    return page;
  }

  open(path: string, flags: number, mode = 0o666): number {
    const umask = fs_set_umask(this.context.fs, 0);
    fs_set_umask(this.context.fs, umask);
    return vfs_open(this.context, this.at(path), flags, mode & ~umask);
  }

  put(file: number): void {
    file_put(file as Ptr<'File'>);
  }

  mkdir(path: string, mode = 0o777): number {
    return vfs_mkdir(this.context, this.at(path), mode);
  }

  mknod(path: string, mode: number, rdev = 0): number {
    return vfs_mknod(this.context, this.at(path), mode, rdev);
  }

  symlink(target: string, path: string): number {
    const page = this.pages[1] as number;
    U8[page + bytes_write(page, target)] = 0;
    return vfs_symlink(this.context, this.at(path), page, target.length);
  }

  link(from: string, to: string, flags = 0): number {
    const zero = 0 as Ptr<'File'>;
    return vfs_link(this.context, zero, this.at(from), flags, zero, this.at(to, 1));
  }

  unlink(path: string): number {
    return vfs_unlink(this.context, this.at(path), false);
  }

  rmdir(path: string): number {
    return vfs_unlink(this.context, this.at(path), true);
  }

  rename(from: string, to: string, flags = 0): number {
    const zero = 0 as Ptr<'File'>;
    return vfs_rename(this.context, zero, this.at(from), zero, this.at(to, 1), flags);
  }

  /** Walks and hands the inode to `use` while it is held. */
  with_inode(path: string, flags: number, use: (inode: Ptr<'Inode'>) => number): number {
    const result = path_walk(this.context, this.at(path), flags, this.ref);
    if (result !== 0) return result;
    const answer = use(Dentry.inode.get(this.ref.dentry));
    this.ref.put();
    return answer;
  }

  stat(path: string, follow = true): number {
    return this.with_inode(path, follow ? LOOKUP_FOLLOW : 0, (inode) => inode_status(inode, this.status));
  }

  chmod(path: string, mode: number): number {
    return this.with_inode(path, LOOKUP_FOLLOW, (inode) => vfs_chmod(inode, mode, this.context.credentials));
  }

  chown(path: string, uid: number, gid: number): number {
    return this.with_inode(path, LOOKUP_FOLLOW, (inode) => vfs_chown(inode, uid, gid, this.context.credentials));
  }

  truncate(path: string, size: number): number {
    return this.with_inode(path, LOOKUP_FOLLOW, (inode) => vfs_truncate(inode, size, this.context.credentials));
  }

  chdir(path: string): number {
    const result = path_walk(this.context, this.at(path), LOOKUP_FOLLOW, this.ref);
    if (result === 0) fs_set_cwd(this.context.fs, this.ref);
    return result;
  }

  readlink(path: string): string | number {
    const page = this.pages[2] as number;
    const length = this.with_inode(path, 0, (inode) =>
      is_symlink(inode) ? (inode_operations(inode).read_link?.(inode, page, 4095) ?? -EINVAL) : -EINVAL,
    );
    return length < 0 ? length : bytes_read(page, length);
  }

  /** Mounts a superblock (reference taken over) on a directory; the mount or -errno. */
  mount(sb: Ptr<'SuperBlock'>, path: string, flags = 0): number {
    const result = path_walk(this.context, this.at(path), LOOKUP_FOLLOW, this.ref);
    if (result !== 0) return result;
    const mount = mount_attach(sb, SuperBlock.root.get(sb), flags, this.ref.mount, this.ref.dentry, 'test');
    this.ref.put();
    return mount;
  }

  umount(mount: number, detach = false): number {
    return mount_detach(mount as Ptr<'Mount'>, 0, detach);
  }

  read(file: number, position: number, length: number): string | number {
    const page = this.pages[2] as number;
    let text = '';
    while (length > 0) {
      const n = kernel_read(file as Ptr<'File'>, position, page, Math.min(length, 4096));
      if (n < 0) return text === '' ? n : text;
      if (n === 0) break;
      text += bytes_read(page, n);
      position += n;
      length -= n;
    }
    return text;
  }

  write(file: number, position: number, text: string): number {
    const page = this.pages[2] as number;
    let done = 0;
    while (done < text.length) {
      const piece = text.slice(done, done + 4096);
      bytes_write(page, piece);
      const n = kernel_write(file as Ptr<'File'>, position + done, page, piece.length);
      if (n <= 0) return done > 0 ? done : n;
      done += n;
    }
    return done;
  }

  /** The whole file, or -errno. */
  cat(path: string): string | number {
    const file = this.open(path, 0);
    if (file < 0) return file;
    const text = this.read(file, 0, 1 << 24);
    this.put(file);
    return text;
  }

  /** Replaces a file's content, making it if need be. */
  save(path: string, text: string): number {
    const file = this.open(path, 0o1101);
    if (file < 0) return file;
    const n = this.write(file, 0, text);
    this.put(file);
    return Math.min(n, 0);
  }

  /** Entries of a directory in order, "." and ".." included; `chunk` entries a call. */
  list(path: string, chunk = 1000): Entry[] | number {
    const file = this.open(path, 0o200000);
    if (file < 0) return file;
    const entries: Entry[] = [];
    for (;;) {
      let room = chunk;
      const before = entries.length;
      const result = read_directory(file as Ptr<'File'>, {
        emit(name, length, ino, type) {
          if (room-- === 0) return false;
          entries.push({ name: bytes_read(name, length), ino, type });
          return true;
        },
      });
      if (result < 0) {
        this.put(file);
        return result;
      }
      if (entries.length === before) break;
    }
    this.put(file);
    return entries;
  }

  /** Sorted names without "." and "..". */
  names(path: string): string[] | number {
    const entries = this.list(path);
    if (typeof entries === 'number') return entries;
    return entries
      .map(({ name }) => name)
      .filter((name) => name !== '.' && name !== '..')
      .sort();
  }

  position(file: number): number {
    return File.position.get(file as Ptr<'File'>);
  }

  mount_id(): number {
    return Mount.id.get(this.root_mount);
  }
}

/** Boots the root record; call before making a superblock. */
export function boot_vfs(): void {
  vfs_boot();
}
