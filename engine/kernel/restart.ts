/**
 * Calls that go on after a signal without their relative timeout starting anew (restart_syscall(2)): they answer
 * `restart_later`, which keeps their absolute deadline; arguments are still in the registers.
 */
import { EINTR, ERESTART_RESTARTBLOCK } from '../abi/errno.ts';
import { assert } from '../base/assert.ts';
import { set_deadline } from './block.ts';
import { current } from './current.ts';
import { Task } from './task.layout.ts';

export const RESTART_NANOSLEEP = 1;
export const RESTART_CLOCK_NANOSLEEP = 2;
export const RESTART_FUTEX = 3;
export const RESTART_POLL = 4;
export const RESTART_CPU_SLEEP = 5;

const handlers: ((() => number) | undefined)[] = [];

/** Installs the handler that goes on with a kind of call, at module load. */
export function register_restart(kind: number, handler: () => number): void {
  assert(handlers[kind] === undefined, `restart kind ${kind} registered twice`);
  handlers[kind] = handler;
}

/** Keeps the call's deadline for its restart; the handler returns the result. */
export function restart_later(kind: number): number {
  Task.restart_kind.set(current, kind);
  Task.restart_deadline.set(current, Task.syscall_deadline.get(current));
  return -ERESTART_RESTARTBLOCK;
}

/** The handler of restart_syscall(2): the interrupted call's own, under its old deadline. */
export function sys_restart_syscall(): number {
  const handler = handlers[Task.restart_kind.get(current)];
  if (handler === undefined) return -EINTR;
  const deadline = Task.restart_deadline.get(current);
  if (Task.syscall_entries.get(current) === 0 && deadline !== 0) set_deadline(deadline);
  return handler();
}
