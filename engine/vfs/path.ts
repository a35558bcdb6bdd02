// @hot
/**
 * Path resolution (path_resolution(7); Linux's fs/namei.c): from a byte string in kernel memory to a
 * place in the name space.
 *
 * One Walker for each thread: it holds references only between `begin` and `end`, inside one call.
 * `walk_parent` consumes components up to the last one, following symbolic links in between;
 * `look_last` looks the last one up. A link in last position is entered by `follow` and the walk goes on.
 * Bodies of links are kept in heap pages, stacked while components of the outer string remain.
 */
import { EAGAIN, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EXDEV } from '../abi/errno.ts';
import {
  MAXSYMLINKS,
  NAME_MAX,
  PATH_MAX,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../abi/path.ts';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../abi/stat.ts';
import { assert, CHECKED } from '../base/assert.ts';
import { register_transient } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { lock, unlock } from '../heap/lock.ts';
import { DCACHE_LOCK } from '../heap/lock_order.ts';
import { U8 } from '../heap/memory.ts';
import { atime_is_stale } from './access_time.ts';
import { d_add, d_alloc, d_drop, d_lookup, dget, dput } from './dcache.ts';
import { File } from './file.layout.ts';
import { fs_cwd, fs_root } from './fs_context.ts';
import { inode_operations, inode_touch, iput, TOUCH_ATIME } from './inode.ts';
import { mntput, mount_on, mount_parent } from './mount.ts';
import { NOT_PLAIN, skip_directories, walk_cached } from './path_cached.ts';
import { PathRef } from './path_ref.ts';
import { inode_permission, MAY_EXEC } from './permission.ts';
import { vfs_root } from './root.ts';
import { tree_lock, tree_unlock } from './super.ts';
import { Dentry, INODE_MAGIC_LINK, Inode, Mount, SB_REVALIDATE, SuperBlock, VfsRoot } from './vfs.layout.ts';

type D = Ptr<'Dentry'>;

/** Follow a symbolic link in last position. */
export const LOOKUP_FOLLOW = 1;
/** The result must be a directory. */
export const LOOKUP_DIRECTORY = 2;
/** An empty path is the start itself (AT_EMPTY_PATH). */
export const LOOKUP_EMPTY = 4;

/** Kinds of a last component. */
export const LAST_NORMAL = 0;
export const LAST_DOT = 1;
export const LAST_DOTDOT = 2;
/** No component at all: the path is "/", or empty. */
export const LAST_ROOT = 3;

/** On whose behalf and from where a path is resolved. Reused: set every field. */
export class PathContext {
  fs = 0 as Ptr<'FsContext'>;
  credentials = 0 as Ptr<'Credentials'>;
  /** The open directory that relative paths start at; 0 is the current directory. */
  start = 0 as Ptr<'File'>;
  /** RESOLVE_* of openat2(2). */
  resolve = 0;
}

const SLASH = 0x2f;
const DOT = 0x2e;

/** Whether the inode is a directory. */
export function is_directory(inode: Ptr<'Inode'>): boolean {
  return (Inode.mode.get(inode) & S_IFMT) === S_IFDIR;
}

/** Whether the inode is a symbolic link. */
export function is_symlink(inode: Ptr<'Inode'>): boolean {
  return (Inode.mode.get(inode) & S_IFMT) === S_IFLNK;
}

export class Walker {
  /** The directory reached so far. */
  readonly at = new PathRef();
  readonly root = new PathRef();
  private readonly up = new PathRef();
  credentials = 0 as Ptr<'Credentials'>;
  private resolve = 0;
  private links = 0;
  private active = false;
  /** The string being consumed, and those around it. */
  private cursor = 0;
  private page = 0;
  private depth = 0;
  private readonly cursors = new Int32Array(MAXSYMLINKS + 1);
  private readonly pages = new Int32Array(MAXSYMLINKS + 1);
  /** The last component: kind, name, and whether a slash follows it. */
  last = LAST_ROOT;
  name = 0;
  name_length = 0;
  trailing = false;

  /** Holds nothing any more, without giving anything back. */
  forget(): void {
    for (const place of [this.at, this.root, this.up]) place.forget();
    this.page = 0;
    this.depth = 0;
    this.active = false;
  }

  /** Starts at the path's beginning. 0 or -errno; `end` must be called either way. */
  begin(context: PathContext, path: number, flags: number): number {
    if (CHECKED) assert(!this.active, 'Walker: entered twice');
    this.active = true;
    this.credentials = context.credentials;
    this.resolve = context.resolve;
    this.links = 0;
    this.depth = 0;
    this.page = 0;
    this.cursor = path;
    this.trailing = false;
    fs_root(context.fs, this.root);
    const scoped = (this.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0;
    if (U8[path] === 0 && (flags & LOOKUP_EMPTY) === 0) return -ENOENT;
    if (U8[path] === SLASH && !scoped) {
      this.at.set(this.root.mount, this.root.dentry);
      return 0;
    }
    if (U8[path] === SLASH && (this.resolve & RESOLVE_BENEATH) !== 0) return -EXDEV;
    if (context.start === 0) fs_cwd(context.fs, this.at);
    else {
      const dentry = File.dentry.get(context.start);
      if (dentry === 0) return -ENOTDIR;
      const inode = Dentry.inode.get(dentry);
      if (U8[path] !== 0 && !is_directory(inode)) return -ENOTDIR;
      this.at.set(File.mount.get(context.start), dentry);
    }
    if (scoped) {
      this.root.put();
      this.root.set(this.at.mount, this.at.dentry);
    }
    return 0;
  }

  /** Drops everything held. */
  end(): void {
    if (this.page !== 0) heap_page_free(this.page);
    this.page = 0;
    while (this.depth > 0) {
      this.depth--;
      const page = this.pages[this.depth] as number;
      if (page !== 0) heap_page_free(page);
    }
    this.at.put();
    this.root.put();
    this.active = false;
  }

  /** Consumes all but the last component, which is described in `last` and `name`. 0 or -errno. */
  walk_parent(): number {
    if (this.resolve === 0) this.cursor = skip_directories(this.at, this.cursor, this.credentials);
    for (;;) {
      let at = this.cursor;
      while (U8[at] === SLASH) at++;
      if (U8[at] === 0) {
        // Only slashes: the root of the string, which for an inner link body goes on outside.
        if (this.depth === 0) {
          this.cursor = at;
          this.last = LAST_ROOT;
          this.name_length = 0;
          return 0;
        }
        this.pop();
        continue;
      }
      const error = is_directory(Dentry.inode.get(this.at.dentry))
        ? inode_permission(Dentry.inode.get(this.at.dentry), MAY_EXEC, this.credentials)
        : -ENOTDIR;
      if (error !== 0) return this.found(error);
      const name = at;
      while (U8[at] !== SLASH && U8[at] !== 0) at++;
      const length = at - name;
      this.name = name;
      this.name_length = length;
      this.last = kind_of(name, length);
      const slash = at;
      while (U8[at] === SLASH) at++;
      this.cursor = at;
      if (U8[at] === 0 && this.depth === 0) {
        if (at !== slash) this.trailing = true;
        return 0;
      }
      // Whether the last component is too long is found when it is looked up.
      if (length > NAME_MAX) return -ENAMETOOLONG;
      const result = this.step();
      if (result !== 0) return result;
    }
  }

  /** Goes through an inner component: the next directory, or into a link. */
  private step(): number {
    if (this.last === LAST_DOT) return 0;
    if (this.last === LAST_DOTDOT) return this.dotdot();
    const child = this.look_up();
    if (child < 0) return child;
    const dentry = child as D;
    const inode = Dentry.inode.get(dentry);
    if (inode === 0) {
      dput(dentry);
      return -ENOENT;
    }
    if (is_symlink(inode)) return this.follow(dentry);
    if (!is_directory(inode)) {
      dput(dentry);
      return this.found(-ENOTDIR);
    }
    return this.enter(dentry);
  }

  /** An error on the way. A walk of cached names alone is not sure of it, and cannot begin another (try_to_unlazy). */
  private found(error: number): number {
    return (this.resolve & RESOLVE_CACHED) !== 0 ? -EAGAIN : error;
  }

  /** Moves into `dentry` (whose reference is taken over) and what is mounted on it. 0 or -EXDEV. */
  enter(dentry: D): number {
    dput(this.at.dentry);
    this.at.dentry = dentry;
    return this.cross_mounts();
  }

  private cross_mounts(): number {
    for (;;) {
      const mount = mount_on(this.at.mount, this.at.dentry);
      if (mount === 0) return 0;
      if ((this.resolve & RESOLVE_NO_XDEV) !== 0) {
        mntput(mount);
        return -EXDEV;
      }
      const root = dget(Mount.root.get(mount));
      this.at.put();
      this.at.mount = mount;
      this.at.dentry = root;
    }
  }

  /** "..", which stays where it is at the root and leaves mounts upwards. */
  dotdot(): number {
    const { at, root } = this;
    for (;;) {
      if (at.dentry === root.dentry && at.mount === root.mount)
        return (this.resolve & RESOLVE_BENEATH) !== 0 ? this.found(-EXDEV) : 0;
      if (at.dentry !== Mount.root.get(at.mount)) break;
      if (!mount_parent(at.mount, this.up)) return 0;
      if ((this.resolve & RESOLVE_NO_XDEV) !== 0) {
        this.up.put();
        return -EXDEV;
      }
      this.take(this.up);
    }
    const p = VfsRoot.dcache_lock.at(vfs_root());
    lock(p, DCACHE_LOCK);
    const parent = dget(Dentry.parent.get(at.dentry));
    unlock(p, DCACHE_LOCK);
    dput(at.dentry);
    at.dentry = parent;
    return this.cross_mounts();
  }

  private take(from: PathRef): void {
    this.at.put();
    this.at.mount = from.mount;
    this.at.dentry = from.dentry;
    from.mount = 0 as Ptr<'Mount'>;
    from.dentry = 0 as D;
  }

  /** The dentry of the last component (kind LAST_NORMAL) with a reference, perhaps negative; or -errno. */
  look_up(): number {
    if ((this.resolve & RESOLVE_CACHED) !== 0) return look_up_cached(this.at.dentry, this.name, this.name_length);
    return look_up_child(this.at.dentry, this.name, this.name_length);
  }

  /** Goes into a symbolic link of the present directory, whose reference is taken over. 0 or -errno. */
  follow(link: D): number {
    const inode = Dentry.inode.get(link);
    const result = this.follow_inode(inode);
    dput(link);
    return result;
  }

  private follow_inode(inode: Ptr<'Inode'>): number {
    if (++this.links > MAXSYMLINKS || (this.resolve & RESOLVE_NO_SYMLINKS) !== 0) return -ELOOP;
    if (atime_is_stale(this.at.mount, inode)) {
      if ((this.resolve & RESOLVE_CACHED) !== 0) return -EAGAIN;
      inode_touch(inode, TOUCH_ATIME);
    }
    const operations = inode_operations(inode);
    if ((Inode.flags.load(inode) & INODE_MAGIC_LINK) !== 0) return this.follow_magic(inode);
    const page = heap_page_alloc();
    if (page === 0) return -ENOMEM;
    const length = operations.read_link === undefined ? -EINVAL : operations.read_link(inode, page, PATH_MAX - 1);
    if (length <= 0) {
      heap_page_free(page);
      return length === 0 ? -ENOENT : length;
    }
    U8[page + length] = 0;
    this.push(page);
    if (U8[page] !== SLASH) return 0;
    if ((this.resolve & RESOLVE_BENEATH) !== 0) return -EXDEV;
    if ((this.resolve & RESOLVE_NO_XDEV) !== 0 && this.at.mount !== this.root.mount) return -EXDEV;
    this.at.put();
    this.at.set(this.root.mount, this.root.dentry);
    return 0;
  }

  private follow_magic(inode: Ptr<'Inode'>): number {
    if ((this.resolve & RESOLVE_NO_MAGICLINKS) !== 0) return -ELOOP;
    if ((this.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) return -EXDEV;
    const follow_link = inode_operations(inode).follow_link;
    if (follow_link === undefined) return -EINVAL;
    const result = follow_link(inode, this.up);
    if (result !== 0) return result;
    if ((this.resolve & RESOLVE_NO_XDEV) !== 0 && this.up.mount !== this.at.mount) {
      this.up.put();
      return -EXDEV;
    }
    this.take(this.up);
    return 0;
  }

  /** Starts consuming a link's body; the outer string is kept only when something of it remains. */
  private push(page: number): void {
    if (U8[this.cursor] !== 0) {
      this.cursors[this.depth] = this.cursor;
      this.pages[this.depth] = this.page;
      this.depth++;
    } else if (this.page !== 0) heap_page_free(this.page);
    this.cursor = page;
    this.page = page;
  }

  private pop(): void {
    if (this.page !== 0) heap_page_free(this.page);
    this.depth--;
    this.cursor = this.cursors[this.depth] as number;
    this.page = this.pages[this.depth] as number;
  }

  /** Whether a string is left to consume: false directly behind a magic link in last position. */
  more(): boolean {
    return U8[this.cursor] !== 0 || this.depth > 0;
  }
}

/** The walker of this thread. */
export const walker = new Walker();
register_transient(() => walker.forget());

function kind_of(name: number, length: number): number {
  if (U8[name] !== DOT || length > 2) return LAST_NORMAL;
  if (length === 1) return LAST_DOT;
  return U8[name + 1] === DOT ? LAST_DOTDOT : LAST_NORMAL;
}

function look_up_cached(parent: D, name: number, length: number): number {
  const cached = d_lookup(parent, name, length);
  return cached !== 0 ? cached : -EAGAIN;
}

/** The dentry of a name in a directory with a reference, perhaps negative; or -errno. */
export function look_up_child(parent: D, name: number, length: number): number {
  const sb = Dentry.sb.get(parent);
  const cached = d_lookup(parent, name, length);
  if (cached !== 0) {
    if ((SuperBlock.flags.load(sb) & SB_REVALIDATE) === 0) return cached;
    tree_lock(sb);
    const valid = inode_operations(Dentry.inode.get(parent)).revalidate?.(Dentry.inode.get(parent), cached) ?? true;
    tree_unlock(sb);
    if (valid) return cached;
    d_drop(cached);
    dput(cached);
  }
  tree_lock(sb);
  const result = look_up_locked(parent, name, length);
  tree_unlock(sb);
  return result;
}

/** Like `look_up_child`, for callers that hold the tree lock; cached names are taken as they are. */
export function look_up_locked(parent: D, name: number, length: number): number {
  const cached = d_lookup(parent, name, length);
  if (cached !== 0) return cached;
  if (length > NAME_MAX) return -ENAMETOOLONG;
  const dir = Dentry.inode.get(parent);
  const operations = inode_operations(dir);
  const found = operations.lookup === undefined ? -ENOENT : operations.lookup(dir, name, length);
  if (found < 0 && found !== -ENOENT) return found;
  const dentry = d_alloc(parent, name, length);
  if (dentry === 0) {
    if (found > 0) iput(found as Ptr<'Inode'>);
    return -ENOMEM;
  }
  d_add(dentry, (found === -ENOENT ? 0 : found) as Ptr<'Inode'>);
  return dentry;
}

/** Resolves a path into `out`, with references. 0 or -errno. */
export function path_walk(context: PathContext, path: number, flags: number, out: PathRef): number {
  const plain = walk_cached(context, path, (flags & LOOKUP_DIRECTORY) !== 0, out);
  if (plain !== NOT_PLAIN) return plain;
  let result = walker.begin(context, path, flags);
  if (result === 0) result = walk_to_end(flags);
  if (result === 0) out.set(walker.at.mount, walker.at.dentry);
  walker.end();
  return result;
}

function walk_to_end(flags: number): number {
  for (;;) {
    let result = walker.walk_parent();
    if (result !== 0) return result;
    if (walker.last === LAST_NORMAL) {
      const child = walker.look_up();
      if (child < 0) return child;
      const dentry = child as D;
      const inode = Dentry.inode.get(dentry);
      if (inode === 0) {
        dput(dentry);
        return -ENOENT;
      }
      if (is_symlink(inode) && ((flags & LOOKUP_FOLLOW) !== 0 || walker.trailing)) {
        result = walker.follow(dentry);
        if (result !== 0) return result;
        if (walker.more()) continue;
      } else result = walker.enter(dentry);
    } else if (walker.last === LAST_DOTDOT) result = walker.dotdot();
    if (result !== 0) return result;
    const must_be_directory = walker.trailing || (flags & LOOKUP_DIRECTORY) !== 0;
    if (must_be_directory && !is_directory(Dentry.inode.get(walker.at.dentry))) return -ENOTDIR;
    return 0;
  }
}
