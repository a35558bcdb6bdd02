/**
 * Mm: an address space; Vma: one mapped range of it with uniform rights and backing.
 *
 * The VMAs of an Mm form a treap by start address, augmented with the largest gap below a node in its
 * subtree, plus a list in address order. Everything is guarded by mm.lock; only page-table walks and the
 * words marked atomic are read without it.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

/** Vma.flags, with Linux's values (include/linux/mm.h). */
export const VM_READ = 1;
export const VM_WRITE = 2;
export const VM_EXEC = 4;
export const VM_SHARED = 8;
export const VM_MAYREAD = 0x10;
export const VM_MAYWRITE = 0x20;
export const VM_MAYEXEC = 0x40;
export const VM_MAYSHARE = 0x80;
export const VM_GROWSDOWN = 0x100;
export const VM_LOCKED = 0x2000;
export const VM_SEQ_READ = 0x8000;
export const VM_RAND_READ = 0x1_0000;
export const VM_DONTCOPY = 0x2_0000;
export const VM_DONTEXPAND = 0x4_0000;
export const VM_LOCKONFAULT = 0x8_0000;
export const VM_ACCOUNT = 0x10_0000;
export const VM_NORESERVE = 0x20_0000;
export const VM_WIPEONFORK = 0x200_0000;
export const VM_DONTDUMP = 0x400_0000;
/** Not Linux's: some private page was faulted in, so the page offset is bound to the pages. */
export const VM_FAULTED = 0x1000_0000;
export const VM_ACCESS = VM_READ | VM_WRITE | VM_EXEC;
export const VM_MAY_ACCESS = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;

/** Vma.special: what /proc/pid/maps calls a range that has no file. */
export const SPECIAL_NONE = 0;
export const SPECIAL_VDSO = 1;
export const SPECIAL_VVAR = 2;

const v = layout('Vma');
export const Vma = v.done(
  {
    start: v.f64('guarded by mm'),
    end: v.f64('guarded by mm'),
    /** Page number in the file of the first page; start / 4096 for private anonymous memory. */
    pgoff: v.f64('guarded by mm'),
    /** Free bytes between the VMA before and this one, and the largest such in this subtree. */
    gap: v.f64('guarded by mm'),
    max_gap: v.f64('guarded by mm'),
    flags: v.u32('guarded by mm'),
    priority: v.u32('immutable'),
    mm: v.ptr('Mm', 'immutable'),
    file: v.ptr('File', 'immutable'),
    /** Backing pages; 0 for private anonymous memory. */
    mapping: v.ptr('Mapping', 'immutable'),
    special: v.u32('immutable'),
    left: v.ptr('Vma', 'guarded by mm'),
    right: v.ptr('Vma', 'guarded by mm'),
    prev: v.ptr('Vma', 'guarded by mm'),
    next: v.ptr('Vma', 'guarded by mm'),
    mapping_prev: v.ptr('Vma', 'guarded by mapping'),
    mapping_next: v.ptr('Vma', 'guarded by mapping'),
  },
  88,
);

/** Bytes of the auxiliary vector kept for /proc/pid/auxv. */
export const MM_AUXV_BYTES = 384;

const m = layout('Mm');
export const Mm = m.done(
  {
    /** Tasks that share the address space, plus temporary holders. */
    refs: m.atomic(),
    /** Holders of the record alone: one for all of `refs`, one for each visitor from a mapping (rmap.ts). */
    holds: m.atomic(),
    /** No other address space of this machine has it, living or dead. */
    number: m.u32('immutable'),
    /**
     * Rises whenever a translation was replaced or lost rights, after the page-table stores: the fence between them
     * and loads of Vcpu.mm. A vCPU that comes back to this address space compares it (mm_activate).
     */
    shootdowns: m.atomic(),
    /** The same for pages with code. */
    code_changes: m.atomic(),
    lock: m.embed(Lock),
    /** Machine address of the root table. */
    page_table: m.u32('immutable'),
    root: m.ptr('Vma', 'guarded by lock'),
    first: m.ptr('Vma', 'guarded by lock'),
    last: m.ptr('Vma', 'guarded by lock'),
    map_count: m.u32('guarded by lock'),
    seed: m.u32('guarded by lock'),
    /** VM_LOCKED | VM_LOCKONFAULT for new mappings after mlockall(MCL_FUTURE). */
    default_flags: m.u32('guarded by lock'),
    /** PR_SET_DUMPABLE. */
    dumpable: m.u32('guarded by lock'),
    /** Set by PR_SET_THP_DISABLE; reported only. */
    thp_disable: m.u32('guarded by lock'),
    /** MEMBARRIER_CMD_REGISTER_*. */
    membarrier: m.atomic(),

    /** Top of the area that top-down placement uses. */
    mmap_base: m.f64('guarded by lock'),
    start_code: m.f64('guarded by lock'),
    end_code: m.f64('guarded by lock'),
    start_data: m.f64('guarded by lock'),
    end_data: m.f64('guarded by lock'),
    start_brk: m.f64('guarded by lock'),
    brk: m.f64('guarded by lock'),
    start_stack: m.f64('guarded by lock'),
    arg_start: m.f64('guarded by lock'),
    arg_end: m.f64('guarded by lock'),
    env_start: m.f64('guarded by lock'),
    env_end: m.f64('guarded by lock'),

    /** Pages. */
    total_vm: m.f64('guarded by lock'),
    locked_vm: m.f64('guarded by lock'),
    data_vm: m.f64('guarded by lock'),
    exec_vm: m.f64('guarded by lock'),
    stack_vm: m.f64('guarded by lock'),
    rss_anon: m.f64('guarded by lock'),
    rss_file: m.f64('guarded by lock'),
    rss_shmem: m.f64('guarded by lock'),
    hiwater_rss: m.f64('guarded by lock'),
    hiwater_vm: m.f64('guarded by lock'),
    page_faults: m.f64('guarded by lock'),

    /** Soft limits in bytes, Infinity for none: copies of the owner's rlimits, set by setrlimit and exec. */
    limit_as: m.f64('guarded by lock'),
    limit_data: m.f64('guarded by lock'),
    limit_stack: m.f64('guarded by lock'),
    limit_memlock: m.f64('guarded by lock'),

    /** The executable, with a reference, for /proc/pid/exe. */
    exe_file: m.ptr('File', 'guarded by lock'),
    auxv: m.bytes(MM_AUXV_BYTES, 8, 'guarded by lock'),
  },
  720,
);
