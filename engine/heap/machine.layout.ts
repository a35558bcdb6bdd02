/**
 * The machine header and the memory map. Everything starts here: one record at a fixed address from
 * which all other state is reached.
 *
 *   0x0000_0000  one page that stays zero: null records land here, and the checked build verifies it
 *   0x0000_1000  MachineHeader
 *   0x0000_2000  slab directory
 *   0x0000_e000  host descriptors that are open, a bit each: the process's, not in a snapshot
 *   vcpu_base    vCPU areas, one stride each (platform/vcpu.layout.ts): caches only, not in a snapshot
 *   heap_base    kernel heap: pages for slabs
 *   frame_table  one FrameInfo for each frame
 *   frames_base  guest RAM: frames up to frames_end; also page tables, page cache, pipe buffers
 *
 * All bounds are written once at boot. The kernel heap lies below 2 GiB.
 */
import type { Ptr } from '../base/types.ts';
import { layout } from './layout.ts';
import { Lock } from './lock.ts';

export const MACHINE_MAGIC = 0x7476_0001;
export const MACHINE = 0x1000 as Ptr<'MachineHeader'>;
export const SLAB_DIRECTORY = 0x2000;
export const HOST_HANDLES = 0xe000;
export const BOOT_TABLES_END = 0x10000;

const l = layout('MachineHeader');
export const MachineHeader = l.done(
  {
    magic: l.u32('immutable'),
    vcpu_count: l.u32('immutable'),
    vcpu_base: l.u32('immutable'),
    vcpu_stride: l.u32('immutable'),
    heap_base: l.u32('immutable'),
    heap_end: l.u32('immutable'),
    frame_table: l.u32('immutable'),
    frames_base: l.u32('immutable'),
    /** Exclusive end of guest RAM; a double, since it may be 4 GiB. */
    frames_end: l.f64('immutable'),

    heap_lock: l.embed(Lock),
    heap_next: l.u32('guarded by heap_lock'),
    heap_free_list: l.u32('guarded by heap_lock'),
    /** Pages on the free list. */
    heap_free_count: l.u32('guarded by heap_lock'),
    slab_count: l.u32('guarded by heap_lock'),
    /** 1: slabs put red zones round records, poison what is freed and delay its reuse. */
    heap_sanitize: l.u32('immutable'),

    frames_lock: l.embed(Lock),
    /** Frames from here on were never used; their bytes are zero. The first frame is the zero frame. */
    frames_next: l.f64('guarded by frames_lock'),
    frames_free_head: l.u32('guarded by frames_lock'),
    frames_free_count: l.u32('guarded by frames_lock'),
    frames_total: l.u32('immutable'),
    /** Rises at each safe-point round; frames and records retired in an epoch are reused two later. */
    epoch: l.atomic(),
    /** Three chains of retired frames, by epoch modulo 3: head and tail of each. */
    retired: l.bytes(6 * 4, 8, 'guarded by frames_lock'),
    retired_count: l.u32('guarded by frames_lock'),
    /** 1 while a thread reclaims page cache; only it moves the hand. */
    reclaiming: l.atomic(),
    reclaim_hand: l.u32('guarded by reclaiming'),
    /** Frames in page caches. */
    cached_pages: l.atomic(),
    /** Ring of frames whose bytes were code and changed; `code_events` counts entries ever written. */
    code_events: l.atomic(),
    code_ring: l.bytes(64 * 4, 8, 'guarded by frames_lock'),

    /** Spin lock of locked operations that are not aligned: 0 or 1. */
    bus_lock: l.atomic(),

    /** One pointer for each subsystem's root record; the owner names its slot in `ROOT_*`. */
    roots: l.bytes(64 * 4, 8, 'guarded by boot'),
    /** Address spaces made so far: each has its number. */
    spaces_made: l.atomic(),
    panic_flag: l.atomic(),
    panic_length: l.u32('guarded by panic_flag'),
    panic_text: l.bytes(2560, 8, 'guarded by panic_flag'),
  },
  4096,
);

/** Slots of `roots`: where each subsystem keeps the pointer to its own root record. */
export const ROOT_KERNEL = 0;
export const ROOT_VFS = 1;
export const ROOT_TIME = 2;
export const ROOT_SCHED = 3;
export const ROOT_FUTEX = 4;
export const ROOT_PROC = 5;
export const ROOT_TTY = 6;
export const ROOT_HOSTIO = 7;
export const ROOT_MM = 8;
export const ROOT_CONTROL = 9;
export const ROOT_ANON = 10;
export const ROOT_IPC = 11;
/** The Mapping of the vDSO's pages. */
export const ROOT_VDSO = 12;
export const ROOT_KCOV = 13;
export const ROOT_SOCKET = 14;
export const ROOT_PROGRAM = 20;
