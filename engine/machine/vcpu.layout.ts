/**
 * The vCPU area: what one worker needs to run guest code. Caches and transient state only; nothing here
 * survives a snapshot.
 *
 *   +0x0000   Vcpu record
 *   +0x1000   software TLB: TLB_ENTRIES entries of 32 bytes
 *   +0x21000  log of TLB entries filled: their number (above TLB_LOG_LIMIT: some are missing), then their offsets from
 *             the TLB, TLB_LOG_LIMIT words and one that is not read. Outside the record, since a snapshot does not hold
 *             the TLB
 *   +0x21410  TLB banks: what the TLB held of address spaces that this vCPU has left (machine/tlb.ts)
 *   +0x30000  jump cache: JUMP_CACHE_ENTRIES entries of 16 bytes
 *   +0x130000 links of translated regions: MAX_LINKS entries like those of the jump cache (platform/interp/chain.ts)
 *   +0x1b0000 a word for each translated region: the code tag under which its pages were last found in place
 *   +0x1b8000 a half-word for each handler: the slot of a region, which says where it is in which unit
 *             (platform/jit/units.ts), or 0xffff
 *   +0x1c0000 arena of decoded code, up to MachineHeader.vcpu_stride
 *
 * TLB entry, indexed by virtual page number modulo TLB_ENTRIES:
 *   +0  i64 read tag    page address when reads may go straight through, else TLB_INVALID
 *   +8  i64 write tag   page address when writes may, else TLB_INVALID
 *   +16 i32 addend      machine address = low 32 bits of the virtual address + addend
 * An access of n bytes compares the page of its *last* byte with the tag found by its *first* byte, so
 * that an access over a page boundary misses and takes the slow path.
 *
 * Jump cache entry, indexed by (rip ^ rip >> 12 ^ Vcpu.code_salt) modulo JUMP_CACHE_ENTRIES:
 *   +0  i64 rip, or -1;  +8  i32 address of the decoded record;  +12 i32 tag, valid while it is Vcpu.code_tag
 */

import type { Ptr } from '../base/types.ts';
import { layout } from '../heap/layout.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';

/** Bytes of an area: as many as there are for all, within bounds. A compiler's code is 700,000 instructions of 32 bytes. */
const ALL_VCPUS = 0x1000_0000;
const LEAST_STRIDE = 0x80_0000;
const LARGEST_STRIDE = 0x200_0000;
export const TLB_OFFSET = 0x1000;
/** 16 MiB: with 1024 entries a compiler missed 1.8 million times in 1.4 billion instructions, now 0.5 million times. */
export const TLB_ENTRIES = 4096;
export const TLB_ENTRY_SHIFT = 5;
/** Every byte of an invalid entry is 0xff: no page address has low bits set. */
export const TLB_INVALID = -1;
export const TLB_LOG_OFFSET = 0x2_1000;
export const TLB_LOG_LIMIT = 256;
export const TLB_BANKS_OFFSET = 0x2_1410;
export const JUMP_CACHE_OFFSET = 0x3_0000;
export const JUMP_CACHE_ENTRIES = 65536;
export const JUMP_CACHE_ENTRY_SHIFT = 4;
export const LINKS_OFFSET = 0x13_0000;
export const MAX_LINKS = 32768;
export const REGION_TAGS_OFFSET = 0x1b_0000;
export const MAX_REGIONS = 8192;
export const SLOTS_OFFSET = 0x1b_8000;
/** The interpreter's, and those of regions. */
export const MAX_HANDLERS = 16384;
export const ARENA_OFFSET = 0x1c_0000;

/** Bits of `interrupt`: why guest code must leave at the next block boundary. */
export const INTERRUPT_FLUSH_TLB = 1;
export const INTERRUPT_RESCHEDULE = 2;
export const INTERRUPT_STOP = 4;
export const INTERRUPT_CODE = 8;
export const INTERRUPT_TIMER = 16;
export const INTERRUPT_SIGNAL = 32;
/** A sampler wants to know what runs: sentry/profile_area.ts. */
export const INTERRUPT_PROFILE = 64;

/** Values of `mode`. */
export const MODE_IDLE = 0;
export const MODE_KERNEL = 1;
export const MODE_GUEST = 2;

/** Access kinds of a fault. */
export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
export const ACCESS_EXEC = 2;

/** Bytes of a short path, with its NUL. */
export const SHORT_PATH = 256;

const l = layout('Vcpu');
export const Vcpu = l.done(
  {
    /** Set by anyone, polled by guest code at block boundaries, taken by the owner. */
    interrupt: l.atomic(),
    index: l.u32('immutable'),
    /** Root of the active page table (a machine address), or 0 between address spaces. */
    page_table: l.u32('owner'),
    /** The active Mm; others read it to direct shoot-downs. */
    mm: l.atomic(),
    /** Last epoch in which this vCPU passed a safe point; idle vCPUs count as passed. */
    epoch: l.atomic(),
    /** 0 idle, 1 in the kernel, 2 in guest code. */
    mode: l.atomic(),
    /** Rises with each TLB flush done; a shoot-down waits for it. */
    flushes: l.atomic(),
    fault_access: l.u32('owner'),
    fault_address: l.u64('owner'),
    /** What the fault hook answered last: a FAULT_* of mm/fault.ts. */
    fault_result: l.i32('owner'),
    /** Vector of a raised exception (0 DE, 3 BP, 6 UD, 13 GP, 16 MF, 17 AC, 19 XM). */
    exception: l.u32('owner'),
    /** Fuel given to, and left over by, the last run of guest code: guest instructions. */
    fuel: l.i32('owner'),
    /** Running task: who sends it a signal interrupts this vCPU. */
    task: l.atomic(),
    /** Copy of MachineHeader.frame_table, for generated code. */
    frame_table: l.u32('immutable'),
    arena_next: l.u32('owner'),
    /** Bytes of an access that crosses a page, on their way. */
    bounce: l.bytes(64, 16, 'owner'),
    /** Where the two halves of `bounce` belong, and the length of the first. */
    split_first: l.u32('owner'),
    split_second: l.u32('owner'),
    split_length: l.u32('owner'),
    /** Value of the fuel when CpuState.retired was last brought up to date. */
    fuel_base: l.i32('owner'),
    /** 0 none, else the futex word this thread sleeps on when idle. */
    doorbell: l.atomic(),
    scratch: l.bytes(256, 16, 'owner'),
    /** A structure on its way to or from user memory: system-call arguments, signal frames. */
    stage: l.bytes(1088, 16, 'owner'),
    /** Entries of MachineHeader.code_ring this vCPU has acted on. */
    code_seen: l.u32('owner'),
    /** Mm.number of the address space that the TLB holds translations of, and its Mm.shootdowns as of then. */
    tlb_space: l.u32('owner'),
    tlb_changes: l.u32('owner'),
    /** Bank that is given up next when all are in use. */
    tlb_victim: l.u32('owner'),
    /** Tag of the entries of the jump cache that hold now. */
    code_tag: l.u32('owner'),
    /** A number made of the tag: processes that run the same program do not take each other's entries. */
    code_salt: l.u32('owner'),
    /** Rises when generated code calls the kernel about a page: what it knows of others may be void. */
    memory_calls: l.u32('owner'),
    /** Passing the vCPU on to another thread: sentry/hand_over.ts. */
    hand_over: l.atomic(),
    /** Calls made of the thread behind this vCPU, and those it has served: sentry/control.ts. */
    control_asked: l.atomic(),
    control_served: l.atomic(),

    /** Counts since the machine's boot; others read them at any moment. Guest instructions retired. */
    retired: l.f64('owner'),
    /** Entries into guest code from the run loop. */
    guest_entries: l.f64('owner'),
    /** Slices that ended because their fuel was used up. */
    slices: l.f64('owner'),
    syscalls: l.f64('owner'),
    /** Tasks picked up. */
    switches: l.f64('owner'),
    /** Page faults of guest code that the kernel was asked to resolve. */
    faults: l.f64('owner'),
    /** Accesses of guest code that found no TLB entry; counted by generated code. */
    tlb_misses: l.u64('owner'),
    /** Sleeps for want of a task, and what they lasted: ns on the machine's clock. */
    sleeps: l.f64('owner'),
    idle_ns: l.f64('owner'),
    /** Why a memory access of translated code gave up: REGION_* of interp/leave.ts. */
    region_exit: l.u32('owner'),
    /** Which of a region's points it gave up at; RIP there, once looked up. */
    region_point: l.u32('owner'),
    region_rip: l.u64('owner'),
    /** Flags on their way from region to region: 1 + kind (0: they are in the register record) and operands. */
    flags_passed: l.u32('owner'),
    flags_a: l.u64('owner'),
    flags_b: l.u64('owner'),
    flags_carry: l.u64('owner'),
    /** Regions left, by reason: a word for each LEAVE_* of interp/leave.ts, in their order; counted by generated code. */
    region_jumps: l.u64('owner'),
    region_slow: l.u64('owner'),
    region_exceptions: l.u64('owner'),
    region_enters: l.u64('owner'),
    region_switches: l.u64('owner'),
    /** Entries of regions that the interpreter's handler took over: little fuel left, or pages mapped otherwise. */
    region_refusals: l.u64('owner'),
    /** Regions made, guest instructions in them, bytes of their modules and units', and units made. */
    regions_made: l.f64('owner'),
    region_instructions: l.f64('owner'),
    region_bytes: l.f64('owner'),
    units_made: l.f64('owner'),
    /** Ways from region to region until one is shown to platform/jit/units.ts. */
    chain_countdown: l.u32('owner'),
    /** 1 while a region is being made: for samplers, which read it at any moment. */
    translating: l.u32('owner'),
    /** Work of long system calls that no clock has in it yet, ns: kernel/long_call.ts. */
    work: l.f64('owner'),
    /** The path that the call in progress was given, if it is short; 1 while it is in use. */
    path: l.bytes(SHORT_PATH, 16, 'owner'),
    path_taken: l.u32('owner'),
  },
  4096,
);

/** Bytes of each of so many areas, 8 to 32 MiB: whole wasm pages. Memory is not used before it is touched. */
export function vcpu_stride_of(vcpus: number): number {
  const share = Math.floor(ALL_VCPUS / vcpus / 65536) * 65536;
  return Math.min(Math.max(share, LEAST_STRIDE), LARGEST_STRIDE);
}

/** The area of vCPU number `index`. */
export function vcpu_at(index: number): Ptr<'Vcpu'> {
  return (MachineHeader.vcpu_base.get(MACHINE) + index * MachineHeader.vcpu_stride.get(MACHINE)) as Ptr<'Vcpu'>;
}
