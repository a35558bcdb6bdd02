/**
 * inotify(7): watches on inodes, and queues of what happened to them.
 *
 * An event that equals the last one in the queue is dropped; a queue that is full gets one IN_Q_OVERFLOW.
 * A watch ends by inotify_rm_watch, by the end of its inode or file system, or (IN_ONESHOT) by its first
 * event; each of them queues IN_IGNORED.
 *
 * Locks: AnonRoot.inotify_lock, below the dcache lock; it also guards Inode.watchers. Inodes are put
 * after it is released.
 */
import { EAGAIN, EEXIST, EFAULT, EINVAL, EMFILE, ENOMEM, ENOSPC, ENOTTY } from '../../abi/errno.ts';
import { O_NONBLOCK, O_RDONLY } from '../../abi/fcntl.ts';
import {
  IN_ALL_EVENTS,
  IN_DELETE_SELF,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_ISDIR,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_MOVE_SELF,
  IN_ONESHOT,
  IN_Q_OVERFLOW,
  IN_UNMOUNT,
  INOTIFY_EVENT_SIZE,
} from '../../abi/inotify.ts';
import { FIONREAD } from '../../abi/ioctl.ts';
import { READABLE } from '../../abi/poll.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_copy } from '../../heap/bytes.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { INOTIFY_LOCK } from '../../heap/lock_order.ts';
import { U8 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { wake } from '../../heap/wait_queue.ts';
import type { IoCursor } from '../../machine/io.ts';
import { put_user_u32 } from '../../mm/uaccess.ts';
import { long_names } from '../../vfs/dcache.ts';
import { File } from '../../vfs/file.layout.ts';
import { anon_file, FILE_KIND_INOTIFY, no_transfer, register_file_operations } from '../../vfs/file.ts';
import { iget, iput } from '../../vfs/inode.ts';
import { register_notify } from '../../vfs/notify.ts';
import { vfs_root } from '../../vfs/root.ts';
import { Inode, SuperBlock, VfsRoot } from '../../vfs/vfs.layout.ts';
import { AnonRoot } from './epoll.layout.ts';
import { EVENT_INLINE_NAME, Inotify, InotifyEvent, InotifyWatch } from './inotify.layout.ts';
import { anon_root } from './root.ts';

type N = Ptr<'Inotify'>;
type W = Ptr<'InotifyWatch'>;
type E = Ptr<'InotifyEvent'>;
type I = Ptr<'Inode'>;

export const inotify_slab = slab(Inotify);
const watches = slab(InotifyWatch);
const events = slab(InotifyEvent);

function acquire(): Ptr<'Lock'> {
  const p = AnonRoot.inotify_lock.at(anon_root());
  lock(p, INOTIFY_LOCK);
  return p;
}

/** A new instance's file; -EMFILE beyond max_user_instances, -ENOMEM. `flags` may have O_NONBLOCK. */
export function inotify_create(flags: number): Ptr<'File'> | number {
  const root = anon_root();
  if (AnonRoot.inotify_instances.load(root) >= AnonRoot.inotify_max_instances.load(root)) return -EMFILE;
  const instance = inotify_slab.alloc();
  if (instance === 0) return -ENOMEM;
  Inotify.next_wd.set(instance, 1);
  const file = anon_file(FILE_KIND_INOTIFY, instance, O_RDONLY | (flags & O_NONBLOCK));
  if (file === 0) {
    inotify_slab.free(instance);
    return -ENOMEM;
  }
  AnonRoot.inotify_instances.add(root, 1);
  const p = acquire();
  const head = AnonRoot.inotify_head.get(root);
  Inotify.next.set(instance, head);
  if (head !== 0) Inotify.prev.set(head, instance);
  AnonRoot.inotify_head.set(root, instance);
  unlock(p, INOTIFY_LOCK);
  return file;
}

function instance_of(file: Ptr<'File'>): N {
  return File.object.get(file) as N;
}

function first_watch(inode: I): W {
  return Inode.watchers.get(inode) as W;
}

/**
 * inotify_add_watch(2) on an inode: a new watch, or the mask of the one there is. Its descriptor, -EEXIST
 * with IN_MASK_CREATE, -ENOSPC beyond max_user_watches, -ENOMEM.
 */
export function inotify_add(file: Ptr<'File'>, inode: I, mask: number): number {
  const instance = instance_of(file);
  const kept = (mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT | IN_UNMOUNT)) >>> 0;
  const fresh = watches.alloc();
  const p = acquire();
  let watch = first_watch(inode);
  while (watch !== 0 && InotifyWatch.instance.get(watch) !== instance) watch = InotifyWatch.inode_next.get(watch);
  const spent = watch !== 0 && InotifyWatch.wd.get(watch) < 0;
  let result: number;
  if (watch === 0) result = fresh === 0 ? -ENOMEM : attach(instance, fresh, inode, kept);
  else if (!spent && (mask & IN_MASK_CREATE) !== 0) result = -EEXIST;
  else {
    if (spent) InotifyWatch.wd.set(watch, take_descriptor(instance));
    const old = (mask & IN_MASK_ADD) !== 0 && !spent ? InotifyWatch.mask.get(watch) : 0;
    InotifyWatch.mask.set(watch, (old | kept) >>> 0);
    result = InotifyWatch.wd.get(watch);
  }
  unlock(p, INOTIFY_LOCK);
  if (fresh !== 0 && (watch !== 0 || result < 0)) watches.free(fresh);
  return result;
}

function take_descriptor(instance: N): number {
  const wd = Inotify.next_wd.get(instance);
  Inotify.next_wd.set(instance, wd + 1);
  return wd;
}

function attach(instance: N, watch: W, inode: I, mask: number): number {
  const root = anon_root();
  if (VfsRoot.watches.load(vfs_root()) >= AnonRoot.inotify_max_watches.load(root)) return -ENOSPC;
  VfsRoot.watches.add(vfs_root(), 1);
  const wd = take_descriptor(instance);
  InotifyWatch.instance.set(watch, instance);
  InotifyWatch.inode.set(watch, iget(inode));
  InotifyWatch.wd.set(watch, wd);
  InotifyWatch.mask.set(watch, mask);
  const head = Inotify.watches.get(instance);
  InotifyWatch.next.set(watch, head);
  if (head !== 0) InotifyWatch.prev.set(head, watch);
  Inotify.watches.set(instance, watch);
  InotifyWatch.inode_next.set(watch, first_watch(inode));
  Inode.watchers.set(inode, watch);
  return wd;
}

/** Takes a watch off both lists and frees it; the caller puts the inode once the lock is released. */
function detach(watch: W): void {
  const instance = InotifyWatch.instance.get(watch);
  const inode = InotifyWatch.inode.get(watch);
  const next = InotifyWatch.next.get(watch);
  const prev = InotifyWatch.prev.get(watch);
  if (prev === 0) Inotify.watches.set(instance, next);
  else InotifyWatch.next.set(prev, next);
  if (next !== 0) InotifyWatch.prev.set(next, prev);
  if (first_watch(inode) === watch) Inode.watchers.set(inode, InotifyWatch.inode_next.get(watch));
  else {
    let at = first_watch(inode);
    while (InotifyWatch.inode_next.get(at) !== watch) at = InotifyWatch.inode_next.get(at);
    InotifyWatch.inode_next.set(at, InotifyWatch.inode_next.get(watch));
  }
  VfsRoot.watches.add(vfs_root(), -1);
  watches.free(watch);
}

/** Ends a watch with a last event, and IN_IGNORED unless it had fired for its one time. */
function end_watch(watch: W, mask: number): void {
  const instance = InotifyWatch.instance.get(watch);
  const wd = InotifyWatch.wd.get(watch);
  if (wd >= 0) {
    if (mask !== 0) enqueue(instance, wd, mask, 0, 0, 0);
    enqueue(instance, wd, IN_IGNORED, 0, 0, 0);
  }
  detach(watch);
}

/** inotify_rm_watch(2): 0, or -EINVAL for a descriptor that is not of this instance. */
export function inotify_remove(file: Ptr<'File'>, wd: number): number {
  const p = acquire();
  let watch = Inotify.watches.get(instance_of(file));
  while (watch !== 0 && InotifyWatch.wd.get(watch) !== wd) watch = InotifyWatch.next.get(watch);
  const found = watch !== 0 && wd >= 0;
  const inode = found ? InotifyWatch.inode.get(watch) : (0 as I);
  if (found) end_watch(watch, 0);
  unlock(p, INOTIFY_LOCK);
  if (inode !== 0) iput(inode);
  return found ? 0 : -EINVAL;
}

/** The watches as /proc/PID/fdinfo shows them (proc_pid_fdinfo(5)): a line each, the latest first. */
export function inotify_lines(file: Ptr<'File'>): string {
  let text = '';
  const p = acquire();
  let watch = Inotify.watches.get(instance_of(file));
  for (; watch !== 0; watch = InotifyWatch.next.get(watch)) {
    const wd = InotifyWatch.wd.get(watch);
    if (wd < 0) continue;
    const inode = InotifyWatch.inode.get(watch);
    const [ino, dev, mask] = [
      Inode.ino.get(inode),
      SuperBlock.dev.get(Inode.sb.get(inode)),
      InotifyWatch.mask.get(watch),
    ];
    text += `inotify wd:${wd} ino:${ino.toString(16)} sdev:${dev.toString(16)} mask:${mask.toString(16)} ignored_mask:0\n`;
  }
  unlock(p, INOTIFY_LOCK);
  return text;
}

function name_at(event: E): number {
  const long = InotifyEvent.long_name.get(event);
  return long !== 0 ? long : InotifyEvent.inline_name.at(event);
}

/** Whether the event at the end of the queue says the same: then another one says nothing new. */
function repeats(event: E, wd: number, mask: number, name: number, length: number): boolean {
  if (InotifyEvent.wd.get(event) !== wd || InotifyEvent.mask.get(event) !== mask) return false;
  if (InotifyEvent.name_length.get(event) !== length) return false;
  const at = name_at(event);
  for (let i = 0; i < length; i++) if (U8[at + i] !== U8[name + i]) return false;
  return true;
}

/** Queues an event; one that memory has no room for is lost like one that the queue has no room for. */
function enqueue(instance: N, wd: number, mask: number, cookie: number, name: number, length: number): void {
  const tail = Inotify.tail.get(instance);
  if (tail !== 0 && mask !== IN_IGNORED && repeats(tail, wd, mask, name, length)) return;
  if (Inotify.count.get(instance) >= AnonRoot.inotify_max_events.load(anon_root())) {
    if (tail !== 0 && InotifyEvent.mask.get(tail) === IN_Q_OVERFLOW) return;
    wd = -1;
    mask = IN_Q_OVERFLOW;
    cookie = 0;
    length = 0;
  }
  const event = events.alloc();
  if (event === 0) return;
  if (length > EVENT_INLINE_NAME) {
    const long = long_names.alloc();
    if (long === 0) {
      events.free(event);
      return;
    }
    InotifyEvent.long_name.set(event, long);
  }
  InotifyEvent.wd.set(event, wd);
  InotifyEvent.mask.set(event, mask);
  InotifyEvent.cookie.set(event, cookie);
  InotifyEvent.name_length.set(event, length);
  // The name ends in at least one NUL, and keeps the next event aligned.
  const padded = length === 0 ? 0 : Math.ceil((length + 1) / INOTIFY_EVENT_SIZE) * INOTIFY_EVENT_SIZE;
  InotifyEvent.padded.set(event, padded);
  bytes_copy(name_at(event), name, length);
  if (tail === 0) Inotify.head.set(instance, event);
  else InotifyEvent.next.set(tail, event);
  Inotify.tail.set(instance, event);
  Inotify.count.set(instance, Inotify.count.get(instance) + 1);
  Inotify.bytes.set(instance, Inotify.bytes.get(instance) + INOTIFY_EVENT_SIZE + padded);
  wake(Inotify.queue.at(instance), READABLE);
}

/** Takes the first event off the queue and frees it. */
function dequeue(instance: N): void {
  const event = Inotify.head.get(instance);
  const next = InotifyEvent.next.get(event);
  Inotify.head.set(instance, next);
  if (next === 0) Inotify.tail.set(instance, 0 as E);
  Inotify.count.set(instance, Inotify.count.get(instance) - 1);
  const size = INOTIFY_EVENT_SIZE + InotifyEvent.padded.get(event);
  Inotify.bytes.set(instance, Inotify.bytes.get(instance) - size);
  const long = InotifyEvent.long_name.get(event);
  if (long !== 0) long_names.free(long);
  events.free(event);
}

/** Whole events, as many as fit: -EINVAL when not even the first does, -EAGAIN when there is none. */
function read(file: Ptr<'File'>, io: IoCursor): number {
  const instance = instance_of(file);
  const p = acquire();
  let done = 0;
  let event = Inotify.head.get(instance);
  while (event !== 0) {
    const length = InotifyEvent.name_length.get(event);
    const padded = InotifyEvent.padded.get(event);
    if (io.wanted() < INOTIFY_EVENT_SIZE + padded) break;
    if (io.remaining < INOTIFY_EVENT_SIZE + padded) {
      // What cannot be told is gone all the same, and so is what was told before.
      dequeue(instance);
      unlock(p, INOTIFY_LOCK);
      return -EFAULT;
    }
    io.fill_from(event + InotifyEvent.wd.offset, INOTIFY_EVENT_SIZE);
    io.fill_from(name_at(event), length);
    io.fill_zero(padded - length);
    done += INOTIFY_EVENT_SIZE + padded;
    dequeue(instance);
    event = Inotify.head.get(instance);
  }
  unlock(p, INOTIFY_LOCK);
  if (done > 0) return done;
  return event === 0 ? -EAGAIN : -EINVAL;
}

function release(file: Ptr<'File'>): void {
  const instance = instance_of(file);
  const root = anon_root();
  for (;;) {
    const p = acquire();
    const watch = Inotify.watches.get(instance);
    const inode = watch === 0 ? (0 as I) : InotifyWatch.inode.get(watch);
    if (watch !== 0) detach(watch);
    else {
      while (Inotify.head.get(instance) !== 0) dequeue(instance);
      const next = Inotify.next.get(instance);
      const prev = Inotify.prev.get(instance);
      if (prev === 0) AnonRoot.inotify_head.set(root, next);
      else Inotify.next.set(prev, next);
      if (next !== 0) Inotify.prev.set(next, prev);
    }
    unlock(p, INOTIFY_LOCK);
    if (inode === 0) break;
    iput(inode);
  }
  AnonRoot.inotify_instances.add(root, -1);
  inotify_slab.free(instance);
}

function event(inode: I, mask: number, name: number, length: number, cookie: number, unlinked: boolean): void {
  const p = acquire();
  for (let watch = first_watch(inode); watch !== 0; watch = InotifyWatch.inode_next.get(watch)) {
    const wanted = InotifyWatch.mask.get(watch);
    const wd = InotifyWatch.wd.get(watch);
    if (wd < 0 || (mask & wanted & IN_ALL_EVENTS) === 0) continue;
    if (unlinked && (wanted & IN_EXCL_UNLINK) !== 0) continue;
    // That it is a directory is not said of the watched one itself when it moves (fs/notify/inotify).
    const told = (mask & (IN_MOVE_SELF | IN_DELETE_SELF)) !== 0 ? mask & ~IN_ISDIR : mask;
    const instance = InotifyWatch.instance.get(watch);
    enqueue(instance, wd, told, cookie, name, length);
    if ((wanted & IN_ONESHOT) === 0) continue;
    // The record stays, without a descriptor, until the instance or the inode goes: inodes cannot be put here.
    InotifyWatch.wd.set(watch, -1);
    enqueue(instance, wd, IN_IGNORED, 0, 0, 0);
  }
  unlock(p, INOTIFY_LOCK);
}

function gone(inode: I): void {
  let ended = 0;
  const p = acquire();
  for (let watch = first_watch(inode); watch !== 0; watch = first_watch(inode)) {
    end_watch(watch, InotifyWatch.mask.get(watch) & IN_DELETE_SELF);
    ended++;
  }
  unlock(p, INOTIFY_LOCK);
  for (; ended > 0; ended--) iput(inode);
}

/** The next watch of an inode in the file system, ended; its inode, or 0 when there is none left. */
function end_one_of(sb: Ptr<'SuperBlock'>): I {
  const p = acquire();
  let found = 0 as I;
  let instance = AnonRoot.inotify_head.get(anon_root());
  for (; instance !== 0 && found === 0; instance = Inotify.next.get(instance)) {
    let watch = Inotify.watches.get(instance);
    while (watch !== 0 && Inode.sb.get(InotifyWatch.inode.get(watch)) !== sb) watch = InotifyWatch.next.get(watch);
    if (watch === 0) continue;
    found = InotifyWatch.inode.get(watch);
    end_watch(watch, IN_UNMOUNT);
  }
  unlock(p, INOTIFY_LOCK);
  return found;
}

register_notify({
  event,
  gone,
  unmount(sb) {
    for (let inode = end_one_of(sb); inode !== 0; inode = end_one_of(sb)) iput(inode);
  },
  next_cookie: () => AnonRoot.inotify_cookie.add(anon_root(), 1) + 1,
});

register_file_operations(FILE_KIND_INOTIFY, {
  name: 'inotify',
  read,
  write: no_transfer,
  poll: (file) => (Inotify.count.get(instance_of(file)) > 0 ? READABLE : 0),
  queue: (file) => Inotify.queue.at(instance_of(file)),
  // A position that nothing uses (Linux's noop_llseek).
  seek: () => 0,
  ioctl: (file, command, argument) =>
    command === FIONREAD ? put_user_u32(argument, Inotify.bytes.get(instance_of(file))) : -ENOTTY,
  release,
});
