// @hot
/**
 * The dispatcher: from the number in rax to the handler's result in rax.
 *
 * `enter_syscall` starts a call (the platform's syscall hook); `resume_syscall` enters the handler of a
 * blocked call again after a wake (the run loop). Both answer what the vCPU does next:
 *
 *   SYSCALL_RESUME   the call has ended and nothing is pending: go on with the guest
 *   SYSCALL_WORK     the call has ended: look at pending work before the guest runs again
 *   SYSCALL_BLOCKED  the wait is enrolled, rax still holds the number: drop the task
 *   SYSCALL_PREEMPTED  the slice is over in the middle of the call: let others run, then `continue_syscall`
 *
 * `Task.syscall_number` is the number from the first entry until the call has ended, and plays the part
 * of Linux's orig_rax: after -ERESTART* it stays, rax holds the internal code, and signal delivery turns
 * both into a restart or EINTR and sets it to -1. After every other end it is -1.
 */
import { BLOCKED, ENOSYS, ERESTART_RESTARTBLOCK, ERESTARTSYS, NO_RESULT, PREEMPTED, RETRY } from '../abi/errno.ts';
import { SYSCALL_LIMIT } from '../abi/syscall_names.ts';
import { assert, CHECKED } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { held_lock_count } from '../heap/lock.ts';
import { I32, U32 } from '../heap/memory.ts';
import { waits_done, waits_look } from '../kernel/block.ts';
import { release_arguments } from '../kernel/call_arguments.ts';
import { current, current_cpu } from '../kernel/current.ts';
import { release_held_files } from '../kernel/fd_table.ts';
import { CALL_ARGUMENTS, CALL_EXCLUSIVE, CALL_FILES, CALL_WAITS, Task } from '../kernel/task.layout.ts';
import { SYSCALLS } from './table.ts';

export const SYSCALL_RESUME = 0;
export const SYSCALL_WORK = 1;
export const SYSCALL_BLOCKED = 2;
export const SYSCALL_PREEMPTED = 3;

/** What a tracer is told. It runs on the vCPU, as the current task. */
export interface SyscallTracer {
  /** Before the first entry of the handler. */
  enter(number: number): void;
  /** The call blocks. */
  block(number: number): void;
  /** The call has ended; `result` is what the handler returned. */
  leave(number: number, result: number): void;
}

let tracer: SyscallTracer | null = null;

/** Installs this thread's tracer, or removes it. */
export function set_syscall_tracer(installed: SyscallTracer | null): void {
  tracer = installed;
}

function no_such_call(): number {
  return -ENOSYS;
}

const HANDLERS: (() => number)[] = [];
for (let number = 0; number < SYSCALL_LIMIT; number++) HANDLERS.push(SYSCALLS[number]?.handler ?? no_such_call);

/** Runs the system call in the current register record. As Linux, the number is rax's low half. */
export function enter_syscall(): number {
  const task = current;
  const number = I32[current_cpu >> 2] as number;
  Task.syscall_number.set(task, number);
  Task.syscall_entries.set(task, 0);
  Task.syscall_phase.set(task, 0);
  Task.syscall_aux.set(task, 0);
  Task.syscall_progress.set(task, 0);
  Task.syscall_deadline.set(task, 0);
  if (tracer !== null) tracer.enter(number);
  return run_handler(task, number);
}

/** Enters the handler of the current task's blocked call again. */
export function resume_syscall(): number {
  const task = current;
  Task.syscall_entries.set(task, Task.syscall_entries.get(task) + 1);
  if ((Task.call_leftovers.get(task) & CALL_EXCLUSIVE) !== 0) waits_look();
  return run_handler(task, Task.syscall_number.get(task));
}

/** Enters the handler of the current task's preempted call again. */
export function continue_syscall(): number {
  return run_handler(current, Task.syscall_number.get(current));
}

/** What the call has left behind: places in queues, references to files, kept arguments. */
function give_back(task: Ptr<'Task'>, failed: boolean): void {
  const leftovers = Task.call_leftovers.get(task);
  Task.call_leftovers.set(task, 0);
  if ((leftovers & CALL_WAITS) !== 0) waits_done(failed);
  if ((leftovers & CALL_FILES) !== 0) release_held_files(task);
  if ((leftovers & CALL_ARGUMENTS) !== 0) release_arguments();
}

function run_handler(task: Ptr<'Task'>, number: number): number {
  const handler = number >>> 0 < SYSCALL_LIMIT ? (HANDLERS[number] as () => number) : no_such_call;
  let result = handler();
  while (result === RETRY) {
    Task.syscall_entries.set(task, Task.syscall_entries.get(task) + 1);
    result = handler();
  }
  if (CHECKED) assert(held_lock_count() === 0, 'a syscall handler returned with a lock held');
  if (result === BLOCKED) {
    if (tracer !== null) tracer.block(number);
    return SYSCALL_BLOCKED;
  }
  if (result === PREEMPTED) return SYSCALL_PREEMPTED;
  if (Task.call_leftovers.get(task) !== 0) give_back(task, result < 0);
  if (tracer !== null) tracer.leave(number, result);
  if (result === NO_RESULT) {
    Task.syscall_number.set(task, -1);
    return SYSCALL_WORK;
  }
  const at = current_cpu >> 2;
  U32[at] = result;
  U32[at + 1] = (result | 0) === result ? result >> 31 : Math.floor(result / 4294967296);
  if (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK) return SYSCALL_WORK;
  Task.syscall_number.set(task, -1);
  return Task.pending_work.load(task) === 0 ? SYSCALL_RESUME : SYSCALL_WORK;
}
