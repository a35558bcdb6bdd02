/**
 * Epoll: an interest list (Linux's struct eventpoll). EpollItem: one watched (file, descriptor) pair.
 * AnonRoot: what the anonymous files of one machine share.
 *
 * Locks, outermost first:
 *   AnonRoot.watch_lock   which item watches which file (lists of File.watchers, Epoll.items)
 *     Epoll.lock          an item's events; one collector at a time; inner instances after outer ones
 *       target's own lock (poll), target's wait queue
 *         Epoll.ready_lock   the list of items that may be ready
 */
import { layout } from '../../heap/layout.ts';
import { Lock } from '../../heap/lock.ts';
import { WaitQueue } from '../../heap/wait_queue.ts';

const r = layout('AnonRoot');
export const AnonRoot = r.done(
  {
    watch_lock: r.embed(Lock),
    /** /proc/sys/fs/pipe-max-size, in bytes: what a pipe without CAP_SYS_RESOURCE may hold. */
    pipe_max_size: r.atomic(),
    /** /proc/sys/fs/inotify: events in one queue, instances of one machine, watches of one machine. */
    inotify_max_events: r.atomic(),
    inotify_max_instances: r.atomic(),
    inotify_max_watches: r.atomic(),
    inotify_instances: r.atomic(),
    inotify_cookie: r.atomic(),
    /** Guards all of inotify; see inotify.layout.ts. */
    inotify_lock: r.embed(Lock),
    inotify_head: r.ptr('Inotify', 'guarded by inotify_lock'),
    /** Set at boot; see attributes.ts. */
    pipe_super: r.ptr('SuperBlock', 'immutable'),
    socket_super: r.ptr('SuperBlock', 'immutable'),
    shared_inode: r.ptr('Inode', 'immutable'),
    pidfd_inode: r.ptr('Inode', 'immutable'),
  },
  64,
);

const l = layout('Epoll');
export const Epoll = l.done(
  {
    lock: l.embed(Lock),
    /** epoll_wait callers and watchers of the epoll file. */
    queue: l.embed(WaitQueue),
    items: l.ptr('EpollItem', 'guarded by watch_lock'),
    ready_lock: l.embed(Lock),
    ready_head: l.ptr('EpollItem', 'guarded by ready_lock'),
    ready_tail: l.ptr('EpollItem', 'guarded by ready_lock'),
    ready_count: l.u32('guarded by ready_lock'),
    file: l.ptr('File', 'immutable'),
  },
  56,
);

const i = layout('EpollItem');
export const EpollItem = i.done(
  {
    epoll: i.ptr('Epoll', 'immutable'),
    /** The watched file: no reference, the item goes with the file's last one. */
    file: i.ptr('File', 'immutable'),
    fd: i.i32('immutable'),
    /** EPOLL* of interest; only the private bits are left of a spent EPOLLONESHOT. */
    events: i.u32('guarded by epoll lock'),
    data: i.u64('guarded by epoll lock'),
    entry: i.ptr('WaitEntry', 'guarded by watch_lock'),
    /** What the file's `queue_hold` answered; 0 none. */
    held: i.u32('immutable'),
    next: i.ptr('EpollItem', 'guarded by watch_lock'),
    prev: i.ptr('EpollItem', 'guarded by watch_lock'),
    next_watcher: i.ptr('EpollItem', 'guarded by watch_lock'),
    ready: i.u32('guarded by ready_lock'),
    ready_next: i.ptr('EpollItem', 'guarded by ready_lock'),
    ready_prev: i.ptr('EpollItem', 'guarded by ready_lock'),
  },
  64,
);
