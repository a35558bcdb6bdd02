/**
 * System V IPC objects (Linux ipc/): one record each for shared memory segments, semaphore sets and message queues,
 * with a common head; and the tables that find them by identifier.
 *
 * An identifier is sequence * IPC_INDEX_LIMIT + index into the kind's table. Everything is guarded by the one lock of
 * IpcRoot, which is never held over an access to user memory. Tasks wait on queues of the root, chosen by identifier,
 * so that an object may go while tasks still wait for it.
 */
import { layout } from '../../heap/layout.ts';
import { Lock } from '../../heap/lock.ts';
import { WaitQueue } from '../../heap/wait_queue.ts';

export const IPC_SHM = 0;
export const IPC_SEM = 1;
export const IPC_MSG = 2;
export const IPC_KINDS = 3;
/** Indices of a table: its pages hold IPC_PAGE_ENTRIES pointers each. */
export const IPC_INDEX_LIMIT = 32768;
export const IPC_PAGE_ENTRIES = 1024;
export const IPC_PAGES = IPC_INDEX_LIMIT / IPC_PAGE_ENTRIES;
export const IPC_WAIT_QUEUES = 64;

const o = layout('IpcObject');
/** Head of every object (struct kern_ipc_perm). */
export const IpcObject = o.done(
  {
    id: o.i32('immutable'),
    key: o.i32('guarded by ipc'),
    uid: o.u32('guarded by ipc'),
    gid: o.u32('guarded by ipc'),
    cuid: o.u32('immutable'),
    cgid: o.u32('immutable'),
    mode: o.u32('guarded by ipc'),
    /** Last change, seconds since the epoch. */
    ctime: o.f64('guarded by ipc'),
  },
  40,
);

const t = layout('IpcTable');
export const IpcTable = t.done(
  {
    count: t.i32('guarded by ipc'),
    /** Largest index in use, -1 none. */
    highest: t.i32('guarded by ipc'),
    /** Index given out last, and the sequence number of this round. */
    last: t.i32('guarded by ipc'),
    sequence: t.i32('guarded by ipc'),
    /** Objects there may be; identifier wanted for the next one, -1 none (shm_next_id...). */
    limit: t.i32('guarded by ipc'),
    next_id: t.i32('guarded by ipc'),
    /** Pages of pointers; 0 until first used. */
    pages: t.bytes(IPC_PAGES * 4, 4, 'guarded by ipc'),
  },
  152,
);

const r = layout('IpcRoot');
export const IpcRoot = r.done(
  {
    lock: r.embed(Lock),
    /** Pages of all segments; semaphores of all sets; messages and their bytes in all queues. */
    shm_pages: r.f64('guarded by lock'),
    /** Largest size of a new segment, bytes. */
    shm_max: r.f64('guarded by lock'),
    semaphores: r.f64('guarded by lock'),
    messages: r.f64('guarded by lock'),
    message_bytes: r.f64('guarded by lock'),
    tables: r.bytes(IPC_KINDS * 152, 8, 'guarded by lock'),
    queues: r.bytes(IPC_WAIT_QUEUES * WaitQueue.SIZE, 8, 'guarded by each queue'),
  },
  1536,
);

const s = layout('ShmSegment');
export const ShmSegment = s.done(
  {
    object: s.embed(IpcObject),
    size: s.f64('immutable'),
    /** What attachments map; its references count them, plus one of the segment's own until IPC_RMID. */
    file: s.ptr('File', 'immutable'),
    mapping: s.ptr('Mapping', 'immutable'),
    cpid: s.i32('immutable'),
    lpid: s.i32('guarded by ipc'),
    atime: s.f64('guarded by ipc'),
    dtime: s.f64('guarded by ipc'),
  },
  80,
);

/** Semaphores in one page of a set. */
export const SEMAPHORES_PER_PAGE = 256;
export const SEMAPHORE_BYTES = 16;
/** A set of so few has its semaphores in its own record. */
export const SEMAPHORES_INLINE = 32;
const a = layout('SemSet');
export const SemSet = a.done(
  {
    object: a.embed(IpcObject),
    count: a.i32('immutable'),
    undos: a.ptr('SemUndo', 'guarded by ipc'),
    otime: a.f64('guarded by ipc'),
    /** Pages of Semaphore records; a small set's records themselves. */
    pages: a.bytes(128 * 4, 8, 'immutable'),
  },
  568,
);

const e = layout('Semaphore');
export const Semaphore = e.done(
  {
    value: e.i32('guarded by ipc'),
    /** Process that changed it last. */
    pid: e.i32('guarded by ipc'),
    /** Tasks that wait for it to rise, and to become zero. */
    waiting_rise: e.i32('guarded by ipc'),
    waiting_zero: e.i32('guarded by ipc'),
  },
  SEMAPHORE_BYTES,
);

const u = layout('SemUndo');
/** What the end of a process adds to one semaphore (SEM_UNDO). */
export const SemUndo = u.done(
  {
    next: u.ptr('SemUndo', 'guarded by ipc'),
    group: u.ptr('ThreadGroup', 'immutable'),
    semaphore: u.i32('immutable'),
    adjustment: u.i32('guarded by ipc'),
  },
  16,
);

const q = layout('MsgQueue');
export const MsgQueue = q.done(
  {
    object: q.embed(IpcObject),
    first: q.ptr('Message', 'guarded by ipc'),
    last: q.ptr('Message', 'guarded by ipc'),
    bytes: q.i32('guarded by ipc'),
    count: q.i32('guarded by ipc'),
    capacity: q.f64('guarded by ipc'),
    last_sender: q.i32('guarded by ipc'),
    last_receiver: q.i32('guarded by ipc'),
    stime: q.f64('guarded by ipc'),
    rtime: q.f64('guarded by ipc'),
  },
  88,
);

/** Bytes of a message kept in its record; more are in up to two pages. */
export const MESSAGE_INLINE = 96;
const m = layout('Message');
export const Message = m.done(
  {
    /** A positive long, both halves. */
    type: m.u64('immutable'),
    next: m.ptr('Message', 'guarded by ipc'),
    length: m.i32('immutable'),
    pages: m.bytes(8, 4, 'immutable'),
    text: m.bytes(MESSAGE_INLINE, 8, 'immutable'),
  },
  120,
);
