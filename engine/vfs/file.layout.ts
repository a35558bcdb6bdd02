/**
 * File: an open file description (Linux's struct file). Reference counted: descriptors, mappings, tasks
 * that are blocked on it. `kind` indexes the table of file operations.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

const l = layout('File');
export const File = l.done(
  {
    refs: l.atomic(),
    /** Index into file_operations; see vfs/file.ts. */
    kind: l.u32('immutable'),
    /** O_* status flags; F_SETFL changes APPEND, NONBLOCK, DIRECT, NOATIME. */
    flags: l.u32('guarded by lock'),
    /** FMODE_*: read, write, stream (no position). */
    mode: l.u32('immutable'),
    inode: l.ptr('Inode', 'immutable'),
    dentry: l.ptr('Dentry', 'immutable'),
    mount: l.ptr('Mount', 'immutable'),
    /** Private record of the object behind an anonymous file (Pipe, EventFd, ...). */
    object: l.u32('immutable'),
    lock: l.embed(Lock),
    position: l.f64('guarded by position_lock'),
    /** Who is told of what happens (fcntl(2), F_SETOWN_EX): F_OWNER_*, and a number. */
    owner_type: l.u32('guarded by lock'),
    owner: l.i32('guarded by lock'),
    owner_signal: l.i32('guarded by lock'),
    /** Task.credentials_number of whoever opened it, 0 the host. */
    opener: l.u32('immutable'),
    /** Host descriptor, -1 none. */
    host: l.i32('immutable'),
    /** Two words for the kind's own use: directory cursor, seal bits. */
    scratch: l.u32('guarded by lock'),
    scratch2: l.f64('guarded by lock'),
    /** Epoll items watching this file. */
    watchers: l.ptr('EpollItem', 'guarded by epoll_watch'),
    /** Held over a read, write or seek at `position` (Linux's f_pos_lock); outermost of all locks. */
    position_lock: l.embed(Lock),
  },
  120,
);
