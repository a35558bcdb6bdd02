/**
 * The frame of a signal handler on x86-64 (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h), and its undoing.
 *
 *   frame +0    return address: the restorer
 *         +8    ucontext: uc_flags 8, uc_link 8, uc_stack 24, mcontext 256, uc_sigmask 8
 *         +312  siginfo, 128 bytes
 *   above it, 64-byte aligned, the FXSAVE image that mcontext.fpstate points to
 *
 *   mcontext +0 r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip rflags, +144 cs gs fs ss (16 bits each),
 *            +152 err trapno oldmask cr2 fpstate, reserved to 256
 *
 * The frame is built in the vCPU's staging area and copied out whole.
 */

import { SA_ONSTACK, SA_RESTORER, SS_AUTODISARM } from '../abi/signal.ts';
import { bytes_zero } from '../heap/bytes.ts';
import { I32, U16, U32 } from '../heap/memory.ts';
import { CpuState, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from '../machine/cpu.layout.ts';
import { FXSAVE_BYTES, fxrstor, fxsave, reset_fpu, rflags_get, rflags_set } from '../machine/cpu.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { copy_in, copy_out } from '../mm/uaccess.ts';
import { altstack_state, on_altstack, reset_altstack, set_altstack } from './altstack.ts';
import { current, current_cpu } from './current.ts';
import { SIGINFO_WORDS } from './siginfo.ts';
import { stage } from './stage.ts';
import { Task } from './task.layout.ts';

/** An action as delivery reads it. */
export interface SignalAction {
  handler: number;
  restorer: number;
  mask_lo: number;
  mask_hi: number;
  flags: number;
}

const TWO_32 = 4294967296;
const RED_ZONE = 128;
const FRAME_BYTES = 440;
const UCONTEXT = 8;
const UC_STACK = UCONTEXT + 16;
const MCONTEXT = UCONTEXT + 40;
const UC_SIGMASK = UCONTEXT + 296;
const SIGINFO = 312;
const MC_SEGMENTS = MCONTEXT + 144;
const MC_ERROR = MCONTEXT + 152;
const MC_FPSTATE = MCONTEXT + 184;
/** UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS; no XSAVE state. */
const UC_FLAGS = 6;
const USER_CS = 0x33;
const USER_SS = 0x2b;
/** Direction, resume and trap flags are clear in a handler. */
const HANDLER_FLAGS_CLEAR = 0x1_0500;
/** RFLAGS that sigreturn may set: AC OF DF TF SF ZF AF PF CF. */
const RESTORABLE_FLAGS = 0x4_0dd5;
/** General registers in the order of mcontext. */
const ORDER = [8, 9, 10, 11, 12, 13, 14, 15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP];

function gpr_get(n: number): number {
  const at = (current_cpu + n * 8) >> 2;
  return (U32[at + 1] as number) * TWO_32 + (U32[at] as number);
}

function gpr_set(n: number, value: number): void {
  const at = (current_cpu + n * 8) >> 2;
  U32[at] = value;
  U32[at + 1] = Math.floor(value / TWO_32);
}

function store64(at: number, value: number): void {
  U32[at >> 2] = value;
  U32[(at + 4) >> 2] = Math.floor(value / TWO_32);
}

function load64(at: number): number {
  return (U32[(at + 4) >> 2] as number) * TWO_32 + (U32[at >> 2] as number);
}

/**
 * Builds the frame of a handler on the current task's stack and points its registers there. False when the stack
 * cannot take it (or the action has no restorer): the caller forces SIGSEGV.
 */
export function setup_signal_frame(
  signo: number,
  info: Int32Array,
  action: SignalAction,
  mask_lo: number,
  mask_hi: number,
): boolean {
  if ((action.flags & SA_RESTORER) === 0) return false;
  const rsp = gpr_get(RSP);
  const nested = on_altstack(rsp);
  let sp = rsp - RED_ZONE;
  let entering = false;
  if ((action.flags & SA_ONSTACK) !== 0 && altstack_state(rsp) === 0) {
    sp = Task.altstack_address.get(current) + Task.altstack_size.get(current);
    entering = true;
  }
  const fpstate = Math.floor((sp - FXSAVE_BYTES) / 64) * 64;
  const frame = Math.floor((fpstate - FRAME_BYTES) / 16) * 16 - 8;
  if (!(frame > 0) || frame + FRAME_BYTES > TASK_SIZE) return false;
  // A handler must not run off the alternate stack into what lies below it.
  if ((nested || entering) && frame <= Task.altstack_address.get(current)) return false;
  const at = stage();
  fxsave(current_cpu, at);
  if (copy_out(fpstate, at, FXSAVE_BYTES) !== 0) return false;
  fill_frame(at, info, action.restorer, fpstate, mask_lo, mask_hi);
  if (copy_out(frame, at, FRAME_BYTES) !== 0) return false;
  if ((Task.altstack_flags.get(current) & SS_AUTODISARM) !== 0) reset_altstack();
  gpr_set(RDI, signo);
  gpr_set(RSI, frame + SIGINFO);
  gpr_set(RDX, frame + UCONTEXT);
  gpr_set(RAX, 0);
  gpr_set(RSP, frame);
  CpuState.rip.set(current_cpu, action.handler);
  rflags_set(current_cpu, rflags_get(current_cpu) & ~HANDLER_FLAGS_CLEAR);
  reset_fpu(current_cpu);
  return true;
}

function fill_frame(
  at: number,
  info: Int32Array,
  restorer: number,
  fpstate: number,
  mask_lo: number,
  mask_hi: number,
): void {
  bytes_zero(at, FRAME_BYTES);
  store64(at, restorer);
  U32[(at + UCONTEXT) >> 2] = UC_FLAGS;
  store64(at + UC_STACK, Task.altstack_address.get(current));
  U32[(at + UC_STACK + 8) >> 2] = Task.altstack_flags.get(current);
  store64(at + UC_STACK + 16, Task.altstack_size.get(current));
  let to = (at + MCONTEXT) >> 2;
  for (const n of ORDER) {
    U32[to] = U32[(current_cpu + n * 8) >> 2] as number;
    U32[to + 1] = U32[(current_cpu + n * 8 + 4) >> 2] as number;
    to += 2;
  }
  U32[to] = CpuState.rip.lo(current_cpu);
  U32[to + 1] = CpuState.rip.hi(current_cpu);
  U32[to + 2] = rflags_get(current_cpu);
  U16[(at + MC_SEGMENTS) >> 1] = USER_CS;
  U16[(at + MC_SEGMENTS + 6) >> 1] = USER_SS;
  U32[(at + MC_ERROR) >> 2] = Task.trap_error.get(current);
  U32[(at + MC_ERROR + 8) >> 2] = Task.trap_number.get(current);
  U32[(at + MC_ERROR + 16) >> 2] = mask_lo;
  U32[(at + MC_ERROR + 20) >> 2] = mask_hi;
  U32[(at + MC_ERROR + 24) >> 2] = Task.trap_address.lo(current);
  U32[(at + MC_ERROR + 28) >> 2] = Task.trap_address.hi(current);
  store64(at + MC_FPSTATE, fpstate);
  U32[(at + UC_SIGMASK) >> 2] = mask_lo;
  U32[(at + UC_SIGMASK + 4) >> 2] = mask_hi;
  for (let i = 0; i < SIGINFO_WORDS; i++) I32[((at + SIGINFO) >> 2) + i] = info[i] as number;
}

/** The signal mask found in the frame by the last `restore_signal_frame` on this thread. */
export const restored_mask = { lo: 0, hi: 0 };

/**
 * rt_sigreturn(2): registers, FPU state, mask (to `restored_mask`) and alternate stack from the frame whose return
 * address was popped. False when it cannot be read or holds what the CPU cannot load: the caller forces SIGSEGV.
 */
export function restore_signal_frame(): boolean {
  const frame = gpr_get(RSP) - 8;
  const at = stage();
  if (copy_in(at, frame, FRAME_BYTES) !== 0) return false;
  const fpstate = load64(at + MC_FPSTATE);
  const stack_address = load64(at + UC_STACK);
  const stack_flags = U32[(at + UC_STACK + 8) >> 2] as number;
  const stack_size = load64(at + UC_STACK + 16);
  restored_mask.lo = U32[(at + UC_SIGMASK) >> 2] as number;
  restored_mask.hi = U32[(at + UC_SIGMASK + 4) >> 2] as number;
  let from = (at + MCONTEXT) >> 2;
  for (const n of ORDER) {
    U32[(current_cpu + n * 8) >> 2] = U32[from] as number;
    U32[(current_cpu + n * 8 + 4) >> 2] = U32[from + 1] as number;
    from += 2;
  }
  CpuState.rip.set_parts(current_cpu, U32[from] as number, U32[from + 1] as number);
  const kept = rflags_get(current_cpu) & ~RESTORABLE_FLAGS;
  rflags_set(current_cpu, ((U32[from + 2] as number) & RESTORABLE_FLAGS) | kept);
  if (fpstate === 0) reset_fpu(current_cpu);
  else if (copy_in(at, fpstate, FXSAVE_BYTES) !== 0 || !fxrstor(current_cpu, at)) return false;
  // Its errors do not matter, as in Linux's restore_altstack.
  set_altstack(stack_address, stack_flags, stack_size, gpr_get(RSP));
  return true;
}
