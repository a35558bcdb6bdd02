/**
 * The CPU state of a task: the register record. One for each task, in the kernel heap; guest code runs
 * directly on it, so a task switch copies nothing. Owned by the vCPU that runs the task.
 *
 * Flags are lazy and uniform: every arithmetic instruction leaves `flags_result` (its result, sign-
 * extended to 64 bits) and `flags_aux`; no "last operation" kind is needed to read them back:
 *
 *   ZF = flags_result == 0
 *   SF = (flags_result < 0) xor aux.SFD
 *   PF = parity(low byte of flags_result xor aux.PDB)
 *   CF = aux bit 31,  OF = aux bit 31 xor aux bit 30,  AF = aux bit 3
 *
 * SFD and PDB are corrections, non-zero only where flags were loaded from outside (popf, sahf, iret).
 */
import { layout } from '../heap/layout.ts';

/** Bits of `flags_aux`. */
export const AUX_CF = 0x8000_0000;
/** CF xor OF: the carry into the top bit. */
export const AUX_PO = 0x4000_0000;
export const AUX_PDB_SHIFT = 8;
export const AUX_AF = 0x8;
export const AUX_SFD = 0x1;

/** Indices of the general registers in `gpr`, in encoding order. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;
export const R8 = 8;
export const R9 = 9;
export const R10 = 10;
export const R11 = 11;

const l = layout('CpuState');
export const CpuState = l.done(
  {
    gpr: l.bytes(16 * 8, 64, 'owner'),
    rip: l.u64('owner'),
    flags_result: l.u64('owner'),
    flags_aux: l.u32('owner'),
    /** Direction flag: 0 or 1. */
    df: l.u32('owner'),
    /** RFLAGS bits kept as they are: TF, NT, AC, ID (RFLAGS positions). */
    flags_other: l.u32('owner'),
    mxcsr: l.u32('owner'),
    fs_base: l.u64('owner'),
    gs_base: l.u64('owner'),
    /** Always zero: stands in for an absent base or index register. */
    zero: l.u64('immutable'),
    /** Address computed by a prefix operation (segment base, 32-bit addressing). */
    ea: l.u64('owner'),
    xmm: l.bytes(16 * 16, 64, 'owner'),
    /** x87 and MMX: physical registers, 10 bytes used of 16; MMX registers are their mantissas. */
    st: l.bytes(8 * 16, 16, 'owner'),
    fcw: l.u32('owner'),
    /** Status word with TOP in bits 11-13. */
    fsw: l.u32('owner'),
    /** One bit for each physical register: 1 is valid (FXSAVE's abridged tag). */
    ftag: l.u32('owner'),
    fop: l.u32('owner'),
    fip: l.u64('owner'),
    fdp: l.u64('owner'),
    /** Guest instructions retired by this task. */
    retired: l.f64('owner'),
    /** High half of RIP while in the interpreter; decoded records carry the low half. */
    rip_hi: l.u32('owner'),
    /** What RDTSCP leaves in ECX: the number of the vCPU that runs the task (Linux's IA32_TSC_AUX on one node). */
    tsc_aux: l.u32('owner'),
    /** Scratch of multi-step operations and helpers; holds an FXSAVE image. */
    scratch: l.bytes(512, 16, 'owner'),
  },
  1280,
);
