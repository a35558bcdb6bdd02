/**
 * Mapping: the page cache of one inode, or the memory of one shared anonymous mapping (Linux's
 * struct address_space).
 *
 * Pages are kept in a radix tree of 64-entry nodes by page number; a tree of height 0 is a single page
 * of number 0. `vmas` lists the VMAs that map it, so that truncation reaches every page table.
 *
 * Lock order: mm, then mapping. Whoever goes from a mapping to its address spaces (truncation) drops
 * the mapping's lock first and looks again when `vma_generation` moved.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

/** Kinds: index into the table of mapping operations. */
/** Shared anonymous memory: pages start as zeros and live as long as the mapping. */
export const MAPPING_ANONYMOUS = 0;
export const MAPPING_TMPFS = 1;
export const MAPPING_HOST = 2;
export const MAPPING_KCOV = 3;
export const MAPPING_SHM = 4;
export const MAPPING_SPECIAL = 5;
/** A memory file over one of a lower layer: clean pages are a cache, dirty ones the data. */
export const MAPPING_OVERLAY = 6;

/** Bit of `seals`: the file is a memfd. */
export const MAPPING_SEALABLE = 0x4000_0000;

export const MAPPING_NODE_SHIFT = 6;
export const MAPPING_NODE_SLOTS = 64;

const l = layout('Mapping');
export const Mapping = l.done(
  {
    /** One of the inode, one of each VMA. */
    refs: l.atomic(),
    kind: l.u32('immutable'),
    lock: l.embed(Lock),
    /** 0 for shared anonymous memory. */
    inode: l.ptr('Inode', 'immutable'),
    /** The kind's own word (host handle, ...). */
    object: l.u32('guarded by lock'),
    /** Size of the file in bytes: faults behind its last page are bus errors. */
    size: l.f64('guarded by lock'),
    /** Frame (height 0) or node. */
    root: l.u32('guarded by lock'),
    height: l.u32('guarded by lock'),
    /** Pages in the cache. */
    pages: l.u32('guarded by lock'),
    /** First error of a write-back that nobody has reported yet: a positive errno. */
    error: l.u32('guarded by lock'),
    vmas: l.ptr('Vma', 'guarded by lock'),
    /** Rises whenever a VMA is added. */
    vma_generation: l.u32('guarded by lock'),
    /** Shared writable VMAs (seals, ETXTBSY). */
    writable_vmas: l.atomic(),
    /** F_SEAL_*, with MAPPING_SEALABLE for a memfd. */
    seals: l.u32('guarded by lock'),
  },
  72,
);

const n = layout('MappingNode');
export const MappingNode = n.done(
  {
    slots: n.bytes(MAPPING_NODE_SLOTS * 4, 4, 'guarded by the mapping lock'),
    count: n.u32('guarded by the mapping lock'),
  },
  264,
);
