/**
 * Inode and file operations of made-up file systems, over the nodes of node.ts.
 *
 * A read makes the whole text anew and copies the part asked for: no state is kept between reads, and
 * nothing has to be freed.
 */
import { EFAULT, EINVAL, EIO, ENOENT, ENOMEM, ENOTDIR, ENOTTY, EPERM } from '../../abi/errno.ts';
import { POLLERR, POLLPRI, READABLE, WRITABLE } from '../../abi/poll.ts';
import { DT_SHIFT, S_IFCHR, S_IFDIR, S_IFMT } from '../../abi/stat.ts';
import { assert } from '../../base/assert.ts';
import { PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { bytes_read, bytes_write } from '../../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { I32 } from '../../heap/memory.ts';
import type { IoCursor } from '../../machine/io.ts';
import { ATTR_ATIME, ATTR_MTIME, ATTR_SIZE } from '../../vfs/attributes.ts';
import { d_alloc_root } from '../../vfs/dcache.ts';
import { special_open } from '../../vfs/device.ts';
import { File } from '../../vfs/file.layout.ts';
import { type FileOperations, register_file_operations } from '../../vfs/file.ts';
import { type DirectorySink, inode_alloc, iput, register_inode_operations } from '../../vfs/inode.ts';
import { register_filesystem, sb_alloc, sb_put } from '../../vfs/super.ts';
import { INODE_MAGIC_LINK, Inode, SB_NO_CACHE, SuperBlock } from '../../vfs/vfs.layout.ts';
import { type Entry, NO_SUBJECT, node_of, number_of, type PseudoNode, type Subject } from './node.ts';

type I = Ptr<'Inode'>;

/** Largest text taken in one write. */
const WRITE_MAX = PAGE_SIZE;
/** ATTR_* changes that are accepted and do nothing. */
const IGNORED_CHANGES = ATTR_SIZE | ATTR_ATIME | ATTR_MTIME;
/** Positions 0 and 1 are "." and "..". */
const FIRST_POSITION = 2;
/** Positions of names that are not children start here. */
const OTHERS = 1024;

function node_at(inode: I): PseudoNode {
  return node_of(Inode.object.get(inode));
}

function subject_of(inode: I): Subject {
  const at = Inode.scratch.at(inode) >> 2;
  return { tid: I32[at] as number, item: I32[at + 1] as number };
}

/** What an inode of a made-up file system stands for. */
export function pseudo_entry(inode: I): Entry {
  return { node: node_at(inode), subject: subject_of(inode) };
}

/** Inode numbers are a function of what they stand for, so that they are stable. */
function inode_number(entry: Entry): number {
  return 1 + number_of(entry.node) + entry.subject.tid * 0x4000 + (entry.subject.item + 1) * 0x4000_0000;
}

function make_inode(sb: Ptr<'SuperBlock'>, kind: number, entry: Entry): number {
  const { node, subject } = entry;
  const permissions = node.permissions?.(subject) ?? node.mode & 0o7777;
  const inode = inode_alloc(sb, kind, (node.mode & S_IFMT) | permissions, inode_number(entry));
  if (inode === 0) return -ENOMEM;
  Inode.object.set(inode, number_of(node));
  const at = Inode.scratch.at(inode) >> 2;
  I32[at] = subject.tid;
  I32[at + 1] = subject.item;
  if (node.follow !== undefined) Inode.flags.or(inode, INODE_MAGIC_LINK);
  if ((node.mode & S_IFMT) === S_IFDIR) Inode.nlink.set(inode, 2);
  const rdev = node.rdev?.(subject);
  if (rdev !== undefined) Inode.rdev.set(inode, rdev);
  const owner = node.owner?.(subject);
  if (owner !== undefined) {
    Inode.uid.set(inode, owner.uid);
    Inode.gid.set(inode, owner.gid);
  }
  return inode;
}

function find(dir: I, name: string): Entry | null {
  const node = node_at(dir);
  const subject = subject_of(dir);
  for (const child of node.children ?? [])
    if (child.name === name) return child.exists?.(subject) === false ? null : { node: child, subject };
  return node.lookup?.(name, subject) ?? null;
}

function lookup(dir: I, name: number, length: number): number {
  if ((node_at(dir).mode & S_IFMT) !== S_IFDIR) return -ENOTDIR;
  const entry = find(dir, bytes_read(name, length));
  return entry === null ? -ENOENT : make_inode(Inode.sb.get(dir), Inode.kind.get(dir), entry);
}

function read_dir(dir: I, _dentry: Ptr<'Dentry'>, _file: Ptr<'File'>, position: number, sink: DirectorySink): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const node = node_at(dir);
  const subject = subject_of(dir);
  let at = position;
  let room = true;
  const emit = (name: string, entry: Entry, next: number): boolean => {
    const length = bytes_write(page, name);
    room = sink.emit(page, length, inode_number(entry), (entry.node.mode & S_IFMT) >> DT_SHIFT, next);
    if (room) at = next;
    return room;
  };
  const children = node.children ?? [];
  while (room && at < FIRST_POSITION + children.length) {
    const child = children[at - FIRST_POSITION] as PseudoNode;
    if (child.exists?.(subject) === false) at++;
    else emit(child.name, { node: child, subject }, at + 1);
  }
  if (room && node.list !== undefined)
    node.list(Math.max(0, at - OTHERS), subject, (name, entry, cookie) => emit(name, entry, OTHERS + cookie + 1));
  heap_page_free(page);
  return at;
}

function read_link(inode: I, target: number, capacity: number): number {
  const text = node_at(inode).link?.(subject_of(inode)) ?? -EINVAL;
  if (typeof text === 'number') return text;
  return bytes_write(target, text.slice(0, capacity));
}

/** -EFAULT when nothing of what is wanted can be accessed. */
function accessible(io: IoCursor): number | undefined {
  return io.remaining === 0 && io.missing > 0 ? -EFAULT : undefined;
}

function read(file: Ptr<'File'>, io: IoCursor, position: number): number {
  const inode = File.inode.get(file);
  const node = node_at(inode);
  if (node.transfer !== undefined) return accessible(io) ?? node.transfer(subject_of(inode), file, io, position, false);
  const text = node.read?.(subject_of(inode)) ?? -EINVAL;
  if (typeof text === 'number') return text;
  const total = Math.max(0, Math.min(text.length - position, io.remaining));
  if (total === 0) return position < text.length ? (accessible(io) ?? 0) : 0;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  for (let done = 0; done < total; done += PAGE_SIZE) {
    const n = bytes_write(page, text.slice(position + done, position + Math.min(total, done + PAGE_SIZE)));
    io.fill_from(page, n);
  }
  heap_page_free(page);
  return total;
}

function write(file: Ptr<'File'>, io: IoCursor, position: number): number {
  const inode = File.inode.get(file);
  const node = node_at(inode);
  if (node.transfer !== undefined) return accessible(io) ?? node.transfer(subject_of(inode), file, io, position, true);
  if (node.write === undefined) return -EIO;
  const length = io.wanted();
  if (length > WRITE_MAX) return -EINVAL;
  if (io.missing > 0) return -EFAULT;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  io.drain_to(page, length);
  const result = node.write(subject_of(inode), bytes_read(page, length));
  heap_page_free(page);
  return result < 0 ? result : length;
}

function seek(file: Ptr<'File'>, offset: number, whence: number): number {
  if (whence > 1) return -EINVAL;
  const target = whence === 0 ? offset : File.position.get(file) + offset;
  if (target < 0) return -EINVAL;
  File.position.set(file, target);
  return target;
}

/** A change is reported once to each open file: by the first poll that sees it (Linux's mounts_poll). */
function poll(file: Ptr<'File'>): number {
  const { changes } = node_at(File.inode.get(file));
  if (changes === undefined) return READABLE | WRITABLE;
  const count = changes.count() >>> 0;
  if (File.scratch.get(file) === count) return READABLE | WRITABLE;
  File.scratch.set(file, count);
  return READABLE | WRITABLE | POLLERR | POLLPRI;
}

function file_table(name: string): FileOperations {
  return {
    name,
    read,
    write,
    poll,
    queue: (file) => node_at(File.inode.get(file)).changes?.queue() ?? (0 as Ptr<'WaitQueue'>),
    seek,
    ioctl: () => -ENOTTY,
    release: () => {},
  };
}

export interface PseudoFilesystem {
  readonly name: string;
  readonly magic: number;
  /** Kinds of superblock, inode and file. */
  readonly fs_kind: number;
  readonly inode_kind: number;
  readonly file_kind: number;
  readonly root: PseudoNode;
}

/** Installs a made-up file system's tables, at module load. Its nodes have been numbered. */
export function register_pseudo(fs: PseudoFilesystem): void {
  register_file_operations(fs.file_kind, file_table(fs.name));
  register_inode_operations(fs.inode_kind, {
    name: fs.name,
    lookup,
    read_dir,
    read_link,
    follow_link: (inode, out) => node_at(inode).follow?.(subject_of(inode), out) ?? -EINVAL,
    open: (inode, file) => {
      const type = Inode.mode.get(inode) & S_IFMT;
      if (type === S_IFCHR) return special_open(inode, file);
      if (type === S_IFDIR) return 0;
      File.kind.set(file, fs.file_kind);
      const node = node_at(inode);
      if (node.changes !== undefined) File.scratch.set(file, node.changes.count() >>> 0);
      return node.open?.(file, subject_of(inode)) ?? 0;
    },
    // Opening with O_TRUNC means nothing here; other attributes belong to what the files stand for.
    set_attributes: (_inode, change) => ((change.valid & ~IGNORED_CHANGES) === 0 ? 0 : -EPERM),
  });
  register_filesystem(fs.fs_kind, { name: fs.name, mount: () => pseudo_create(fs) });
}

/** A superblock with its root, with one reference; or -ENOMEM. */
export function pseudo_create(fs: PseudoFilesystem): number {
  const sb = sb_alloc(fs.fs_kind, fs.magic, SB_NO_CACHE, fs.name);
  if (sb === 0) return -ENOMEM;
  const inode = make_inode(sb, fs.inode_kind, { node: fs.root, subject: NO_SUBJECT });
  const root = inode < 0 ? (0 as Ptr<'Dentry'>) : d_alloc_root(sb, inode as I);
  if (root === 0) {
    if (inode > 0) iput(inode as I);
    sb_put(sb);
    return -ENOMEM;
  }
  SuperBlock.root.set(sb, root);
  assert(number_of(fs.root) > 0, 'pseudo_create: the tree is numbered from 1 or more');
  return sb;
}
