/**
 * The register record in the architecture's own formats: RFLAGS as one word, and the FXSAVE image (Intel SDM vol. 1,
 * 10.5.1 "FXSAVE Area"), for signal frames and tracers.
 */

import type { Ptr } from '../base/types.ts';
import { bytes_copy, bytes_zero } from '../heap/bytes.ts';
import { U8, U16, U32 } from '../heap/memory.ts';
import { AUX_AF, AUX_CF, AUX_PDB_SHIFT, AUX_PO, AUX_SFD, CpuState } from './cpu.layout.ts';

type Cpu = Ptr<'CpuState'>;

const CF = 0x1;
const ALWAYS = 0x2;
const PF = 0x4;
const AF = 0x10;
const ZF = 0x40;
const SF = 0x80;
const IF = 0x200;
const DF = 0x400;
const OF = 0x800;
/** Bits kept as they are in `flags_other`: TF, NT, AC, ID. */
const OTHER = 0x24_4100;

export const FXSAVE_BYTES = 512;
/** Every bit of MXCSR that this CPU has; also the mask in the image. */
export const MXCSR_MASK = 0xffff;
const INITIAL_MXCSR = 0x1f80;
const INITIAL_FCW = 0x37f;

/** RFLAGS as PUSHFQ would store it. */
export function rflags_get(cpu: Cpu): number {
  const lo = CpuState.flags_result.lo(cpu);
  const hi = CpuState.flags_result.hi(cpu);
  const aux = CpuState.flags_aux.get(cpu);
  let parity = (lo ^ (aux >>> AUX_PDB_SHIFT)) & 0xff;
  parity ^= parity >>> 4;
  parity ^= parity >>> 2;
  parity ^= parity >>> 1;
  const carry = aux >>> 31;
  let flags = ALWAYS | IF | (CpuState.flags_other.get(cpu) & OTHER);
  if (carry !== 0) flags |= CF;
  if ((parity & 1) === 0) flags |= PF;
  if ((aux & AUX_AF) !== 0) flags |= AF;
  if ((lo | hi) === 0) flags |= ZF;
  if (((hi >>> 31) ^ (aux & AUX_SFD)) !== 0) flags |= SF;
  if ((carry ^ ((aux >>> 30) & 1)) !== 0) flags |= OF;
  if (CpuState.df.get(cpu) !== 0) flags |= DF;
  return flags;
}

/** Sets the flags that a program may set; the others stay as the architecture fixes them. */
export function rflags_set(cpu: Cpu, flags: number): void {
  const zero = (flags & ZF) !== 0;
  const parity_even = (flags & PF) !== 0;
  let aux = (flags & SF) !== 0 ? AUX_SFD : 0;
  if ((flags & CF) !== 0) aux |= AUX_CF;
  if (((flags & CF) !== 0) !== ((flags & OF) !== 0)) aux |= AUX_PO;
  if ((flags & AF) !== 0) aux |= AUX_AF;
  // The result is 0 or 1, so its low byte has even parity exactly when it is 0.
  if (zero !== parity_even) aux |= 1 << AUX_PDB_SHIFT;
  CpuState.flags_result.set(cpu, zero ? 0 : 1);
  CpuState.flags_aux.set(cpu, aux >>> 0);
  CpuState.df.set(cpu, (flags & DF) !== 0 ? 1 : 0);
  CpuState.flags_other.set(cpu, flags & OTHER);
}

/** Physical x87 register of stack position `i`. */
function st_at(cpu: Cpu, i: number): number {
  const top = (CpuState.fsw.get(cpu) >>> 11) & 7;
  return CpuState.st.at(cpu) + ((top + i) & 7) * 16;
}

/** Stores the x87 and SSE state as FXSAVE64 does, at machine address `at` (16-byte aligned). */
export function fxsave(cpu: Cpu, at: number): void {
  bytes_zero(at, FXSAVE_BYTES);
  U16[at >> 1] = CpuState.fcw.get(cpu);
  U16[(at + 2) >> 1] = CpuState.fsw.get(cpu);
  U8[at + 4] = CpuState.ftag.get(cpu);
  U16[(at + 6) >> 1] = CpuState.fop.get(cpu);
  U32[(at + 8) >> 2] = CpuState.fip.lo(cpu);
  U32[(at + 12) >> 2] = CpuState.fip.hi(cpu);
  U32[(at + 16) >> 2] = CpuState.fdp.lo(cpu);
  U32[(at + 20) >> 2] = CpuState.fdp.hi(cpu);
  U32[(at + 24) >> 2] = CpuState.mxcsr.get(cpu);
  U32[(at + 28) >> 2] = MXCSR_MASK;
  for (let i = 0; i < 8; i++) bytes_copy(at + 32 + i * 16, st_at(cpu, i), 10);
  bytes_copy(at + 160, CpuState.xmm.at(cpu), 256);
}

/** Loads the image that `fxsave` stores. False, with nothing changed, where FXRSTOR would raise #GP. */
export function fxrstor(cpu: Cpu, at: number): boolean {
  const mxcsr = U32[(at + 24) >> 2] as number;
  if ((mxcsr & ~MXCSR_MASK) !== 0) return false;
  CpuState.fcw.set(cpu, U16[at >> 1] as number);
  CpuState.fsw.set(cpu, U16[(at + 2) >> 1] as number);
  CpuState.ftag.set(cpu, U8[at + 4] as number);
  CpuState.fop.set(cpu, (U16[(at + 6) >> 1] as number) & 0x7ff);
  CpuState.fip.set_parts(cpu, U32[(at + 8) >> 2] as number, U32[(at + 12) >> 2] as number);
  CpuState.fdp.set_parts(cpu, U32[(at + 16) >> 2] as number, U32[(at + 20) >> 2] as number);
  CpuState.mxcsr.set(cpu, mxcsr);
  for (let i = 0; i < 8; i++) bytes_copy(st_at(cpu, i), at + 32 + i * 16, 10);
  bytes_copy(CpuState.xmm.at(cpu), at + 160, 256);
  return true;
}

/** The x87 and SSE state of a new program or signal handler. */
export function reset_fpu(cpu: Cpu): void {
  CpuState.fcw.set(cpu, INITIAL_FCW);
  CpuState.fsw.set(cpu, 0);
  CpuState.ftag.set(cpu, 0);
  CpuState.fop.set(cpu, 0);
  CpuState.fip.set_parts(cpu, 0, 0);
  CpuState.fdp.set_parts(cpu, 0, 0);
  CpuState.mxcsr.set(cpu, INITIAL_MXCSR);
  const st = CpuState.st.at(cpu);
  bytes_zero(st, 128);
  const xmm = CpuState.xmm.at(cpu);
  bytes_zero(xmm, 256);
}

/** Zeroes the register record to what execve gives a program; rip and rsp are the loader's. */
export function reset_cpu(cpu: Cpu): void {
  bytes_zero(cpu, CpuState.SIZE);
  reset_fpu(cpu);
  rflags_set(cpu, 0);
}
