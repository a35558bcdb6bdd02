/**
 * Inotify: an instance is a queue of events and a list of watches; a watch is on the list of its instance
 * and on that of its inode, which it references.
 *
 * Everything here is guarded by one lock, AnonRoot.inotify_lock: events come with the dcache lock held,
 * and reach several instances.
 */
import { layout } from '../../heap/layout.ts';
import { WaitQueue } from '../../heap/wait_queue.ts';

const i = layout('Inotify');
export const Inotify = i.done(
  {
    queue: i.embed(WaitQueue),
    head: i.ptr('InotifyEvent', 'guarded by inotify_lock'),
    tail: i.ptr('InotifyEvent', 'guarded by inotify_lock'),
    count: i.u32('guarded by inotify_lock'),
    /** Bytes that reading all events takes (FIONREAD). */
    bytes: i.u32('guarded by inotify_lock'),
    next_wd: i.i32('guarded by inotify_lock'),
    watches: i.ptr('InotifyWatch', 'guarded by inotify_lock'),
    next: i.ptr('Inotify', 'guarded by inotify_lock'),
    prev: i.ptr('Inotify', 'guarded by inotify_lock'),
  },
  48,
);

const w = layout('InotifyWatch');
export const InotifyWatch = w.done(
  {
    instance: w.ptr('Inotify', 'immutable'),
    /** Referenced. */
    inode: w.ptr('Inode', 'immutable'),
    /** Watch descriptor; -1 once an IN_ONESHOT watch has fired. */
    wd: w.i32('guarded by inotify_lock'),
    mask: w.u32('guarded by inotify_lock'),
    next: w.ptr('InotifyWatch', 'guarded by inotify_lock'),
    prev: w.ptr('InotifyWatch', 'guarded by inotify_lock'),
    inode_next: w.ptr('InotifyWatch', 'guarded by inotify_lock'),
  },
  32,
);

export const EVENT_INLINE_NAME = 40;

const e = layout('InotifyEvent');
export const InotifyEvent = e.done(
  {
    next: e.ptr('InotifyEvent', 'guarded by inotify_lock'),
    /** struct inotify_event as the guest reads it: wd, mask, cookie, and the length of the name with its padding. */
    wd: e.i32('guarded by inotify_lock'),
    mask: e.u32('guarded by inotify_lock'),
    cookie: e.u32('guarded by inotify_lock'),
    padded: e.u32('guarded by inotify_lock'),
    name_length: e.u32('guarded by inotify_lock'),
    /** Outside the record when the name is longer than EVENT_INLINE_NAME. */
    long_name: e.ptr('LongName', 'guarded by inotify_lock'),
    inline_name: e.bytes(EVENT_INLINE_NAME, 4, 'guarded by inotify_lock'),
  },
  72,
);
