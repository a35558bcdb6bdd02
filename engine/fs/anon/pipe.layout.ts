/**
 * Pipe: a ring of bytes in pages (Linux's struct pipe_inode_info), behind pipe(2) and an opened FIFO.
 *
 * Pages in use are `slots` ones from number `first` on, modulo page_count; `offset` bytes of the first were read.
 * Pages are made on first use and kept until the pipe goes, so that a stream does not allocate (pipe_ring.ts).
 */
import { layout } from '../../heap/layout.ts';
import { Lock } from '../../heap/lock.ts';
import { WaitQueue } from '../../heap/wait_queue.ts';

export const PIPE_DEFAULT_PAGES = 16;
/** First value of /proc/sys/fs/pipe-max-size, in bytes. */
export const PIPE_MAX_SIZE = 1 << 20;
/** Pages of a pipe at most: their addresses fill one heap page. */
export const PIPE_MAX_PAGES = 1024;

const l = layout('Pipe');
export const Pipe = l.done(
  {
    lock: l.embed(Lock),
    queue: l.embed(WaitQueue),
    /** Open files with read, or write, access. */
    readers: l.u32('guarded by lock'),
    writers: l.u32('guarded by lock'),
    /** Open files, the host, an open in progress. */
    refs: l.u32('guarded by lock'),
    page_count: l.u32('guarded by lock'),
    /** Pages in use, and the number of the first. */
    slots: l.u32('guarded by lock'),
    first: l.u32('guarded by lock'),
    /** Bytes of the first page in use that were read. */
    offset: l.u32('guarded by lock'),
    /** Bytes waiting to be read. */
    used: l.u32('guarded by lock'),
    /** Page addresses: in the record, or in a heap page of their own once page_count exceeds the default. */
    far_pages: l.u32('guarded by lock'),
    pages: l.bytes(PIPE_DEFAULT_PAGES * 4, 4, 'guarded by lock'),
    /** Rise with each opening of an end: an open of a FIFO waits for the other's. */
    reader_opens: l.u32('guarded by lock'),
    writer_opens: l.u32('guarded by lock'),
    /** 1: nothing is added to the last page in use, since its bytes were not written but moved there. */
    sealed: l.u32('guarded by lock'),
    /** A splice is passing bytes on that are still in the ring: 1 while nobody else may read. */
    claimed: l.u32('guarded by lock'),
    /** Pages in use that are packets (pipe(2), O_DIRECT), and a bit for each. */
    packet_count: l.u32('guarded by lock'),
    packets: l.bytes(PIPE_MAX_PAGES / 8, 4, 'guarded by lock'),
    /** Who made a pipe without a name. */
    uid: l.u32('immutable'),
    gid: l.u32('immutable'),
    /** Its attributes, once somebody asked: 0 before, and for an opened FIFO (attributes.ts). */
    inode: l.atomic(),
  },
  304,
);
