/**
 * x87 control instructions and the state images of FSTENV, FSAVE and FXSAVE.
 * Sources: SDM volume 1, 8.1.10 and 10.5; volume 2, the FLDCW, FNSTENV, FNSAVE, FRSTOR, FXSAVE pages.
 */
import { bytes_copy } from '../../heap/bytes.ts';
import { U8, U16, U32, U64 } from '../../heap/memory.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import { FINITE, unpack_80, ZERO } from '../float/soft.ts';
import {
  begin,
  type Cpu,
  DONE,
  decrement_top,
  FCW_RESET,
  FSW_B,
  FSW_C1,
  FSW_ES,
  increment_top,
  pop,
  set_condition,
  set_valid,
  st_address,
  VECTOR_MF,
} from './state.ts';

/** FWAIT: raises a pending exception. */
export function fwait(cpu: Cpu): number {
  return (CpuState.fsw.get(cpu) & FSW_ES) !== 0 ? VECTOR_MF : DONE;
}

/** FNINIT. */
export function fninit(cpu: Cpu): number {
  CpuState.fcw.set(cpu, FCW_RESET);
  CpuState.fsw.set(cpu, 0);
  CpuState.ftag.set(cpu, 0);
  CpuState.fop.set(cpu, 0);
  CpuState.fip.set(cpu, 0);
  CpuState.fdp.set(cpu, 0);
  return DONE;
}

/** FNCLEX. */
export function fnclex(cpu: Cpu): number {
  CpuState.fsw.set(cpu, CpuState.fsw.get(cpu) & ~(FSW_B | FSW_ES | 0x7f));
  return DONE;
}

/** Sets the control word, its fixed bits as the hardware has them, and ES by the new masks. */
export function set_control_word(cpu: Cpu, value: number): void {
  CpuState.fcw.set(cpu, (value & 0x1f3f) | 0x40);
  update_summary(cpu);
}

function update_summary(cpu: Cpu): void {
  const fsw = CpuState.fsw.get(cpu) & ~(FSW_ES | FSW_B);
  const pending = (fsw & ~CpuState.fcw.get(cpu) & 63) !== 0;
  CpuState.fsw.set(cpu, pending ? fsw | FSW_ES | FSW_B : fsw);
}

/** FLDCW: the operand is the low half word of the scratch area. */
export function fldcw(cpu: Cpu, value: number): number {
  const pending = fwait(cpu);
  if (pending >= 0) return pending;
  set_control_word(cpu, value);
  return DONE;
}

/** FINCSTP (1) and FDECSTP (-1). */
export function rotate(cpu: Cpu, by: number): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (by > 0) increment_top(cpu);
  else decrement_top(cpu);
  set_condition(cpu, FSW_C1, 0);
  return DONE;
}

/** FFREE ST(i), and the undocumented FFREEP, which also pops. */
export function ffree(cpu: Cpu, i: number, pops: boolean): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  set_valid(cpu, i, false);
  if (pops) pop(cpu);
  return DONE;
}

/** The 16-bit tag word: two bits for each physical register. */
export function full_tags(cpu: Cpu): number {
  const valid = CpuState.ftag.get(cpu);
  let tags = 0;
  for (let r = 0; r < 8; r++) {
    const at = cpu + CpuState.st.offset + r * 16;
    let tag = 3;
    if (((valid >> r) & 1) !== 0) {
      const a = unpack_80(U64[at >>> 3] as bigint, U16[(at + 8) >>> 1] as number);
      tag = a.kind === ZERO ? 1 : a.kind === FINITE && !a.denormal ? 0 : 2;
    }
    tags |= tag << (r * 2);
  }
  return tags;
}

function set_full_tags(cpu: Cpu, tags: number): void {
  let valid = 0;
  for (let r = 0; r < 8; r++) if (((tags >> (r * 2)) & 3) !== 3) valid |= 1 << r;
  CpuState.ftag.set(cpu, valid);
}

/** Bytes of the environment with 32-bit and 16-bit operand size. */
export const ENVIRONMENT_32 = 28;
export const ENVIRONMENT_16 = 14;

/** Writes the environment image at machine address `at` (aligned to 4); `wide` is the 32-bit format. */
export function write_environment(cpu: Cpu, at: number, wide: boolean): void {
  const ip = CpuState.fip.lo(cpu);
  const dp = CpuState.fdp.lo(cpu);
  const fop = CpuState.fop.get(cpu) & 0x7ff;
  if (wide) {
    const word = at >>> 2;
    U32[word] = CpuState.fcw.get(cpu) | 0xffff_0000;
    U32[word + 1] = CpuState.fsw.get(cpu) | 0xffff_0000;
    U32[word + 2] = full_tags(cpu) | 0xffff_0000;
    U32[word + 3] = ip;
    U32[word + 4] = fop << 16;
    U32[word + 5] = dp;
    U32[word + 6] = 0xffff_0000;
    return;
  }
  const half = at >>> 1;
  U16[half] = CpuState.fcw.get(cpu);
  U16[half + 1] = CpuState.fsw.get(cpu);
  U16[half + 2] = full_tags(cpu);
  U16[half + 3] = ip;
  U16[half + 4] = 0;
  U16[half + 5] = dp;
  U16[half + 6] = 0;
}

/** FNSTENV after its store: masks every exception. */
export function finish_fnstenv(cpu: Cpu): number {
  set_control_word(cpu, CpuState.fcw.get(cpu) | 63);
  return DONE;
}

/** FLDENV: the image is at `at`. */
export function read_environment(cpu: Cpu, at: number, wide: boolean): void {
  const half = at >>> 1;
  const step = wide ? 2 : 1;
  CpuState.fsw.set(cpu, U16[half + step] as number);
  set_full_tags(cpu, U16[half + 2 * step] as number);
  set_control_word(cpu, U16[half] as number);
  if (wide) {
    CpuState.fip.set_parts(cpu, U32[(at + 12) >>> 2] as number, 0);
    CpuState.fop.set(cpu, (U16[half + 9] as number) & 0x7ff);
    CpuState.fdp.set_parts(cpu, U32[(at + 20) >>> 2] as number, 0);
  } else {
    CpuState.fip.set_parts(cpu, U16[half + 3] as number, 0);
    CpuState.fop.set(cpu, 0);
    CpuState.fdp.set_parts(cpu, U16[half + 5] as number, 0);
  }
}

/** FNSAVE's image: environment, then ST(0) to ST(7) of ten bytes each. */
export function write_fsave(cpu: Cpu, at: number, wide: boolean): void {
  write_environment(cpu, at, wide);
  let to = at + (wide ? ENVIRONMENT_32 : ENVIRONMENT_16);
  for (let i = 0; i < 8; i++) {
    const from = st_address(cpu, i);
    for (let n = 0; n < 10; n++) U8[to++] = U8[from + n] as number;
  }
}

/** FRSTOR's image. */
export function read_fsave(cpu: Cpu, at: number, wide: boolean): void {
  read_environment(cpu, at, wide);
  let from = at + (wide ? ENVIRONMENT_32 : ENVIRONMENT_16);
  for (let i = 0; i < 8; i++) {
    const to = st_address(cpu, i);
    for (let n = 0; n < 10; n++) U8[to + n] = U8[from++] as number;
  }
}

export const FXSAVE_SIZE = 512;
/** Bytes that FXSAVE writes; the rest of its area is the program's. */
export const FXSAVE_WRITTEN = 416;
/** Implemented MXCSR bits, as FXSAVE reports them. */
export const MXCSR_MASK = 0xffff;

/** FXSAVE's image at `at` (aligned to 8). `rex_w` stores 64-bit instruction and data pointers. */
export function write_fxsave(cpu: Cpu, at: number, rex_w: boolean): void {
  const word = at >>> 2;
  U32[word] = CpuState.fcw.get(cpu) | (CpuState.fsw.get(cpu) << 16);
  U32[word + 1] = CpuState.ftag.get(cpu) | (CpuState.fop.get(cpu) << 16);
  U32[word + 2] = CpuState.fip.lo(cpu);
  U32[word + 3] = rex_w ? CpuState.fip.hi(cpu) : 0;
  U32[word + 4] = CpuState.fdp.lo(cpu);
  U32[word + 5] = rex_w ? CpuState.fdp.hi(cpu) : 0;
  U32[word + 6] = CpuState.mxcsr.get(cpu);
  U32[word + 7] = MXCSR_MASK;
  for (let i = 0; i < 8; i++) {
    const from = st_address(cpu, i);
    const to = at + 32 + i * 16;
    U64[to >>> 3] = U64[from >>> 3] as bigint;
    U64[(to + 8) >>> 3] = BigInt(U16[(from + 8) >>> 1] as number);
  }
  const xmm = cpu + CpuState.xmm.offset;
  bytes_copy(at + 160, xmm, 256);
}

/** High half of a last instruction's or operand's address: the processor keeps 57 bits, and extends their sign. */
function canonical_high(high: number): number {
  return (high << 7) >> 7;
}

/** FXRSTOR: 13 (#GP) when the image's MXCSR has reserved bits, else 0 with the state loaded. */
export function read_fxsave(cpu: Cpu, at: number, rex_w: boolean): number {
  const word = at >>> 2;
  const mxcsr = U32[word + 6] as number;
  if ((mxcsr & ~MXCSR_MASK) !== 0) return 13;
  CpuState.mxcsr.set(cpu, mxcsr);
  CpuState.fsw.set(cpu, (U32[word] as number) >>> 16);
  CpuState.ftag.set(cpu, (U32[word + 1] as number) & 0xff);
  CpuState.fop.set(cpu, ((U32[word + 1] as number) >>> 16) & 0x7ff);
  CpuState.fip.set_parts(cpu, U32[word + 2] as number, rex_w ? canonical_high(U32[word + 3] as number) : 0);
  CpuState.fdp.set_parts(cpu, U32[word + 4] as number, rex_w ? canonical_high(U32[word + 5] as number) : 0);
  set_control_word(cpu, (U32[word] as number) & 0xffff);
  for (let i = 0; i < 8; i++) {
    const from = at + 32 + i * 16;
    const to = st_address(cpu, i);
    U64[to >>> 3] = U64[from >>> 3] as bigint;
    U64[(to + 8) >>> 3] = (U64[(from + 8) >>> 3] as bigint) & 0xffffn;
  }
  const xmm = cpu + CpuState.xmm.offset;
  bytes_copy(xmm, at + 160, 256);
  return DONE;
}
