/**
 * SlabDescriptor: the shared state of one record class; the slab directory is an array of them.
 * SlabPage: the head of a heap page that is cut into cells of one class.
 */
import { layout } from './layout.ts';
import { Lock } from './lock.ts';

export const SLAB_NAME_MAX = 31;

const l = layout('SlabDescriptor');
export const SlabDescriptor = l.done(
  {
    lock: l.embed(Lock),
    /** Pages with a free cell, linked by SlabPage.next and prev. Full pages are on no list. */
    partial: l.ptr('SlabPage', 'guarded by lock'),
    /** Bytes of a cell: the record, and in a sanitized machine its state and red zone. */
    object_size: l.u32('immutable'),
    /** Records in use; reports read it without the lock. */
    live: l.u32('guarded by lock'),
    /** Most records ever live at once. */
    peak: l.u32('guarded by lock'),
    /** Rises with each record that is taken or given back: without, no free cell of the class has changed. */
    changes: l.u32('guarded by lock'),
    /** Heap pages that the class holds. */
    pages: l.u32('guarded by lock'),
    /** Those of them whose cells are all free: at most SLAB_RESERVE_PAGES. */
    empty_pages: l.u32('guarded by lock'),
    sanitize: l.u32('immutable'),
    /** Freed cells that wait before reuse, oldest first; sanitized machines only. */
    quarantine_head: l.u32('guarded by lock'),
    quarantine_tail: l.u32('guarded by lock'),
    quarantine_count: l.u32('guarded by lock'),
    name: l.bytes(SLAB_NAME_MAX + 1, 8, 'immutable'),
  },
  88,
);

const p = layout('SlabPage');
/** At the start of its heap page; the cells follow. Its size keeps them aligned to 16 bytes. */
export const SlabPage = p.done(
  {
    /** First free cell, or 0 when the page is full; a free cell's first word links the next. */
    free_head: p.u32("guarded by the slab's lock"),
    /** Cells that are not on the free list: live, or in quarantine. */
    used: p.u32("guarded by the slab's lock"),
    next: p.ptr('SlabPage', "guarded by the slab's lock"),
    prev: p.ptr('SlabPage', "guarded by the slab's lock"),
    /** The class that holds the page; 0 once it has gone back to the heap. */
    slab: p.ptr('SlabDescriptor', "guarded by the slab's lock"),
  },
  32,
);
