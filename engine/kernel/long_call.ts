// @hot
/**
 * Long system calls: what a call does between two pieces of its work, in the place of Linux's cond_resched(),
 * signal_pending() and fatal_signal_pending().
 *
 * A call that may move gigabytes, or touch a machine's whole memory, works in pieces of a MiB at most:
 *
 *     charge(nanoseconds);
 *     if (fatal_signal_pending()) return done;      // or signal_pending(), as Linux in the same place
 *     if (slice_is_over() && keep_what_is_needed()) {
 *       Task.syscall_progress.set(current, done);
 *       return PREEMPTED;
 *     }
 *
 * After PREEMPTED the run loop sees to interrupts, timers, limits and other tasks, and then enters the handler again as
 * after a wait; but it counts as the same entry, since the call did not sleep. Files are held and arguments kept as
 * before a wait. What was charged is time on a virtual clock, and fuel of the machine: a call without an end in sight
 * ends with the machine's fuel.
 */
import { I32 } from '../heap/memory.ts';
import { INTERRUPT_PROFILE, Vcpu } from '../machine/vcpu.layout.ts';
import { current_vcpu } from './current.ts';

/** Work in one slice, ns: as long as guest code of a slice takes. */
export const SLICE_WORK = 1e6;
/** Pieces of fewer bytes need not be charged, unless there are many in one call. */
export const LONG_PIECE = 0x1_0000;

/** What a byte costs that is copied between frames, made at random, or typed or shown by a terminal, ns. */
export const COPY_NS = 0.25;
export const RANDOM_NS = 4;
export const TERMINAL_NS = 100;

/** The current call has worked for so long, in ns; estimated, and the same in each run. */
export function charge(ns: number): void {
  Vcpu.work.set(current_vcpu, Vcpu.work.get(current_vcpu) + ns);
}

/** Whether the current call is to let others run: its slice is used up, or somebody wants the vCPU. */
export function slice_is_over(): boolean {
  if (Vcpu.work.get(current_vcpu) >= SLICE_WORK) return true;
  // A sampler's interrupt must not change what a program does.
  return ((I32[Vcpu.interrupt.index(current_vcpu)] as number) & ~INTERRUPT_PROFILE) !== 0;
}

/** For the run loop: what was charged since the last time, ns. */
export function take_work(): number {
  const work = Vcpu.work.get(current_vcpu);
  Vcpu.work.set(current_vcpu, 0);
  return work;
}
