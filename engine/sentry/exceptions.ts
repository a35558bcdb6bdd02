/**
 * Faults and CPU exceptions of guest code become signals (Linux arch/x86/kernel/traps.c, mm/fault.c).
 */
import {
  BUS_ADRALN,
  BUS_ADRERR,
  FPE_FLTDIV,
  FPE_FLTINV,
  FPE_FLTOVF,
  FPE_FLTRES,
  FPE_FLTUND,
  FPE_INTDIV,
  ILL_ILLOPN,
  SEGV_ACCERR,
  SEGV_MAPERR,
  SI_KERNEL,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGSEGV,
  SIGTRAP,
  TRAP_TRACE,
} from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { current, current_cpu } from '../kernel/current.ts';
import { siginfo_fault } from '../kernel/siginfo.ts';
import { force_signal } from '../kernel/signal_delivery.ts';
import { Task } from '../kernel/task.layout.ts';
import { CpuState } from '../machine/cpu.layout.ts';
import { ACCESS_EXEC, ACCESS_WRITE, Vcpu } from '../machine/vcpu.layout.ts';
import { FAULT_BUS, FAULT_NO_RIGHT, FAULT_OUT_OF_MEMORY, kill_for_memory } from './memory.ts';

const VECTOR_DE = 0;
const VECTOR_DB = 1;
const VECTOR_BP = 3;
const VECTOR_UD = 6;
const VECTOR_PF = 14;
const VECTOR_MF = 16;
const VECTOR_AC = 17;
const VECTOR_XM = 19;

/** Bits of a page fault's error code. */
const ERROR_PRESENT = 1;
const ERROR_WRITE = 2;
const ERROR_USER = 4;
const ERROR_FETCH = 16;
/** First address that is not canonical for a user: a #GP, which has no address. */
const CANONICAL_END = 0x8000_0000_0000;

/** A page fault that mm did not resolve: SIGSEGV or SIGBUS at the address. */
export function deliver_fault(vcpu: Ptr<'Vcpu'>): void {
  const address = Vcpu.fault_address.get(vcpu);
  const kernel_half = Vcpu.fault_address.hi(vcpu) >>> 15 === 0x1_ffff;
  if (address >= CANONICAL_END && !kernel_half) {
    set_trap(13, 0);
    force_signal(SIGSEGV, siginfo_fault(SIGSEGV, SI_KERNEL, 0));
    return;
  }
  const access = Vcpu.fault_access.get(vcpu);
  const result = Vcpu.fault_result.get(vcpu);
  if (result === FAULT_OUT_OF_MEMORY) {
    kill_for_memory();
    return;
  }
  let error = ERROR_USER;
  if (result === FAULT_NO_RIGHT) error |= ERROR_PRESENT;
  if (access === ACCESS_WRITE) error |= ERROR_WRITE;
  if (access === ACCESS_EXEC) error |= ERROR_FETCH;
  set_trap(VECTOR_PF, error);
  Task.trap_address.set_parts(current, Vcpu.fault_address.lo(vcpu), Vcpu.fault_address.hi(vcpu));
  const signo = result === FAULT_BUS ? SIGBUS : SIGSEGV;
  const code = result === FAULT_BUS ? BUS_ADRERR : result === FAULT_NO_RIGHT ? SEGV_ACCERR : SEGV_MAPERR;
  const info = siginfo_fault(signo, code, 0);
  info[4] = Vcpu.fault_address.lo(vcpu);
  info[5] = Vcpu.fault_address.hi(vcpu);
  force_signal(signo, info);
}

function set_trap(vector: number, error: number): void {
  Task.trap_number.set(current, vector);
  Task.trap_error.set(current, error);
}

/** A CPU exception: the signal, code and address that Linux gives it. */
export function deliver_exception(vcpu: Ptr<'Vcpu'>): void {
  const vector = Vcpu.exception.get(vcpu);
  const rip = CpuState.rip.get(current_cpu);
  set_trap(vector, 0);
  if (vector === VECTOR_DE) raise(SIGFPE, FPE_INTDIV, rip);
  else if (vector === VECTOR_DB) raise(SIGTRAP, TRAP_TRACE, rip);
  else if (vector === VECTOR_BP) raise(SIGTRAP, SI_KERNEL, 0);
  else if (vector === VECTOR_UD) raise(SIGILL, ILL_ILLOPN, rip);
  else if (vector === VECTOR_MF) raise(SIGFPE, x87_code(), rip);
  else if (vector === VECTOR_XM) raise(SIGFPE, sse_code(), rip);
  else if (vector === VECTOR_AC) raise(SIGBUS, BUS_ADRALN, 0);
  else raise(SIGSEGV, SI_KERNEL, 0);
}

function raise(signo: number, code: number, address: number): void {
  force_signal(signo, siginfo_fault(signo, code, address));
}

/** si_code of unmasked exception flags: invalid, divide, overflow, underflow or denormal, inexact. */
function float_code(raised: number): number {
  if ((raised & 1) !== 0) return FPE_FLTINV;
  if ((raised & 4) !== 0) return FPE_FLTDIV;
  if ((raised & 8) !== 0) return FPE_FLTOVF;
  if ((raised & 0x12) !== 0) return FPE_FLTUND;
  return (raised & 0x20) !== 0 ? FPE_FLTRES : 0;
}

function x87_code(): number {
  return float_code(CpuState.fsw.get(current_cpu) & ~CpuState.fcw.get(current_cpu) & 0x3f);
}

function sse_code(): number {
  const mxcsr = CpuState.mxcsr.get(current_cpu);
  return float_code(mxcsr & ~(mxcsr >>> 7) & 0x3f);
}
