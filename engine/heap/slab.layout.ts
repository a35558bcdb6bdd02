/** SlabDescriptor: the shared state of one record class; the slab directory is an array of them. */
import { layout } from './layout.ts';
import { Lock } from './lock.ts';

export const SLAB_NAME_MAX = 31;

const l = layout('SlabDescriptor');
export const SlabDescriptor = l.done(
  {
    lock: l.embed(Lock),
    free_head: l.u32('guarded by lock'),
    /** Bytes of a cell: the record, and in a sanitized machine its state and red zone. */
    object_size: l.u32('immutable'),
    live: l.atomic(),
    /** Most records ever live at once. */
    peak: l.u32('guarded by lock'),
    sanitize: l.u32('immutable'),
    /** Freed cells that wait before reuse, oldest first; sanitized machines only. */
    quarantine_head: l.u32('guarded by lock'),
    quarantine_tail: l.u32('guarded by lock'),
    quarantine_count: l.u32('guarded by lock'),
    name: l.bytes(SLAB_NAME_MAX + 1, 8, 'immutable'),
  },
  72,
);
