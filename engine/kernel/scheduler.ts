// @hot
/**
 * The scheduler: one run queue for each vCPU, first in first out; wakes, picking, stealing, idling.
 *
 * A wake puts the task on the waker's own queue, where the waker finds it when its task blocks or its slice ends:
 * a switch between two tasks that talk to each other is then a function return. Telling another thread costs
 * 13-70 us, so an idle vCPU is kicked only
 *
 *   - when the queue that received the task holds at least KICK_LENGTH tasks, more than one for "next", or
 *   - when a slice ends with anything left in the queue (kernel/scheduler.ts, `slice_ended`): the running task
 *     is busy, so what waits behind it is better served elsewhere, or
 *   - when the waker has no vCPU (a host thread) and nobody else will look.
 *
 * An idle vCPU takes from its own queue, then steals the oldest task of the others, in index order from its own
 * index on (deterministic with one vCPU), then sleeps on its doorbell until it is rung or the next timer is due.
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { RUN_QUEUE_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_SCHED } from '../heap/machine.layout.ts';
import { I32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { register_wake, WAKE_TASK } from '../heap/wait_queue.ts';
import { INTERRUPT_RESCHEDULE, Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import { clock_is_virtual, jump_to_next_timer, monotonic_ns, next_deadline_hint } from '../time/clock.ts';
import { timers_run } from '../time/timer.ts';
import { current_vcpu } from './current.ts';
import { RunQueue, Scheduler } from './kernel.layout.ts';
import { announce_machine_event } from './kernel.ts';
import { TASK_BLOCKED, TASK_RUNNING, TASK_STATE_MASK, TASK_STOPPED, TASK_WOKEN, Task } from './task.layout.ts';

/** Length of a run queue from which on a wake kicks an idle vCPU. */
export const KICK_LENGTH = 2;
/** Guest instructions in a slice: about a millisecond of interpreted code. */
export const SLICE_FUEL = 100_000;
/** Longest sleep of an idle vCPU, ms; bounds what a lost kick could cost. */
const LONGEST_SLEEP_MS = 10_000;

/** Values of Vcpu.doorbell. */
const DOORBELL_AWAKE = 0;
const DOORBELL_ASLEEP = 1;

export const schedulers = slab(Scheduler);

/** Makes the Scheduler at boot. */
export function boot_scheduler(slice_fuel = SLICE_FUEL): void {
  const scheduler = schedulers.alloc();
  assert(scheduler !== 0, 'boot_scheduler: no heap');
  Scheduler.slice_fuel.set(scheduler, slice_fuel);
  I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_SCHED] = scheduler;
}

/** The machine's Scheduler. */
export function scheduler_root(): Ptr<'Scheduler'> {
  return I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_SCHED] as Ptr<'Scheduler'>;
}

function queue_of(index: number): Ptr<'RunQueue'> {
  return (Scheduler.queues.at(scheduler_root()) + index * RunQueue.SIZE) as Ptr<'RunQueue'>;
}

/**
 * Makes a blocked task runnable. A task that has not committed to sleep yet is marked TASK_WOKEN instead, and its
 * commit fails. Returns whether this call woke it (or marked it); a task that is stopped or dead stays so.
 */
export function wake_task(task: Ptr<'Task'>): boolean {
  for (;;) {
    const state = Task.state.load(task);
    const base = state & TASK_STATE_MASK;
    if (base === TASK_BLOCKED) {
      if (Task.state.cas(task, state, TASK_RUNNING) !== state) continue;
      enqueue(task);
      return true;
    }
    if (state !== TASK_RUNNING) return false;
    if (Task.state.cas(task, state, TASK_RUNNING | TASK_WOKEN) === state) return true;
  }
}

/** Makes a stopped task runnable: SIGCONT and SIGKILL. */
export function wake_stopped(task: Ptr<'Task'>): void {
  for (;;) {
    const state = Task.state.load(task);
    if ((state & TASK_STATE_MASK) !== TASK_STOPPED) return;
    if (Task.state.cas(task, state, TASK_RUNNING) !== state) continue;
    enqueue(task);
    return;
  }
}

register_wake(WAKE_TASK, (waiter) => wake_task(waiter as Ptr<'Task'>));

/** Commits the current task to a state other than running; false when a wake came first, which is consumed. */
export function commit_state(task: Ptr<'Task'>, state: number): boolean {
  if (Task.state.cas(task, TASK_RUNNING, state) === TASK_RUNNING) return true;
  Task.state.and(task, ~TASK_WOKEN);
  return false;
}

/** Puts a runnable task on a run queue: this vCPU's, or, from a host thread, the next one in turn. */
export function enqueue(task: Ptr<'Task'>): void {
  const scheduler = scheduler_root();
  const remote = current_vcpu === 0;
  const count = MachineHeader.vcpu_count.get(MACHINE);
  const index = remote ? (Scheduler.next_remote.add(scheduler, 1) >>> 0) % count : Vcpu.index.get(current_vcpu);
  const queue = queue_of(index);
  lock(RunQueue.lock.at(queue), RUN_QUEUE_LOCK);
  Task.run_next.set(task, 0 as Ptr<'Task'>);
  const tail = RunQueue.tail.get(queue);
  if (tail === 0) RunQueue.head.set(queue, task);
  else Task.run_next.set(tail, task);
  RunQueue.tail.set(queue, task);
  const length = RunQueue.length.add(queue, 1) + 1;
  unlock(RunQueue.lock.at(queue), RUN_QUEUE_LOCK);
  if (remote || length >= KICK_LENGTH) kick_idle(scheduler);
}

/** Takes the oldest task of a queue, or 0. */
function dequeue(index: number): Ptr<'Task'> {
  const queue = queue_of(index);
  if (RunQueue.length.load(queue) === 0) return 0 as Ptr<'Task'>;
  lock(RunQueue.lock.at(queue), RUN_QUEUE_LOCK);
  const task = RunQueue.head.get(queue);
  if (task !== 0) {
    const next = Task.run_next.get(task);
    RunQueue.head.set(queue, next);
    if (next === 0) RunQueue.tail.set(queue, next);
    Task.run_next.set(task, 0 as Ptr<'Task'>);
    RunQueue.length.add(queue, -1);
  }
  unlock(RunQueue.lock.at(queue), RUN_QUEUE_LOCK);
  return task;
}

/** The task to run next on vCPU `index`: its own queue's oldest, else one stolen; 0 when there is none. */
export function pick_next(index: number): Ptr<'Task'> {
  const own = dequeue(index);
  if (own !== 0) return own;
  const count = MachineHeader.vcpu_count.get(MACHINE);
  for (let i = 1; i < count; i++) {
    const stolen = dequeue((index + i) % count);
    if (stolen !== 0) return stolen;
  }
  return own;
}

/** Whether a task waits in the queue of vCPU `index`. */
export function has_queued(index: number): boolean {
  return RunQueue.length.load(queue_of(index)) !== 0;
}

/** Tasks waiting in all run queues; a hint. */
export function queued_tasks(): number {
  let total = 0;
  for (let i = MachineHeader.vcpu_count.get(MACHINE) - 1; i >= 0; i--) total += RunQueue.length.load(queue_of(i));
  return total;
}

/** The running task's slice ended on vCPU `index`: whatever waits behind it goes to an idle vCPU, if there is one. */
export function slice_ended(index: number): void {
  if (has_queued(index)) kick_idle(scheduler_root());
}

/** Wakes one sleeping vCPU, if any sleeps. */
function kick_idle(scheduler: Ptr<'Scheduler'>): void {
  if (Scheduler.idle.load(scheduler) === 0) {
    // Before the first vCPU is online it is on its way.
    const online = Scheduler.online.load(scheduler);
    if (online > 0 && online < MachineHeader.vcpu_count.get(MACHINE)) ask_for_vcpu(scheduler);
    return;
  }
  for (let i = MachineHeader.vcpu_count.get(MACHINE) - 1; i >= 0; i--) if (ring_doorbell(i)) return;
}

/** Tells the host that one more vCPU would find work. */
function ask_for_vcpu(scheduler: Ptr<'Scheduler'>): void {
  if (Scheduler.wanted.cas(scheduler, 0, 1) === 0) announce_machine_event();
}

/** For the host: whether another vCPU was asked for since the last call. */
export function take_vcpu_request(): boolean {
  return Scheduler.wanted.exchange(scheduler_root(), 0) === 1;
}

/** Wakes vCPU `index` if it sleeps; returns whether it did. */
export function ring_doorbell(index: number): boolean {
  const vcpu = vcpu_at(index);
  if (Vcpu.doorbell.cas(vcpu, DOORBELL_ASLEEP, DOORBELL_AWAKE) !== DOORBELL_ASLEEP) return false;
  Atomics.notify(I32, Vcpu.doorbell.index(vcpu), 1);
  return true;
}

/** Makes every vCPU look at its interrupt word soon: sets `bits` and wakes the sleepers. */
export function interrupt_all(bits: number): void {
  for (let i = MachineHeader.vcpu_count.get(MACHINE) - 1; i >= 0; i--) {
    Vcpu.interrupt.or(vcpu_at(i), bits);
    ring_doorbell(i);
  }
}

/** Asks the vCPU that runs `task` to leave guest code at the next block boundary. */
export function interrupt_task(task: Ptr<'Task'>, bits = INTERRUPT_RESCHEDULE): void {
  const vcpu = vcpu_at(Task.vcpu.get(task));
  if (Vcpu.task.load(vcpu) === task) Vcpu.interrupt.or(vcpu, bits);
}

/**
 * Nothing to run: fires due timers, lets virtual time jump when every vCPU is idle, or sleeps until rung or the
 * next timer. Returns when there may be work again; the caller looks. `may_sleep` false never sleeps: it returns
 * whether there was anything to do.
 */
export function idle(vcpu: Ptr<'Vcpu'>, may_sleep: boolean): boolean {
  const index = Vcpu.index.get(vcpu);
  const scheduler = scheduler_root();
  Vcpu.doorbell.store(vcpu, DOORBELL_ASLEEP);
  const idle_now = Scheduler.idle.add(scheduler, 1) + 1;
  let progress = true;
  if (queued_tasks() === 0 && Vcpu.interrupt.load(vcpu) === 0) {
    const everyone = idle_now >= Scheduler.online.load(scheduler);
    const jumped = everyone && jump_to_next_timer();
    if (!jumped && next_deadline_hint() > monotonic_ns()) {
      progress = false;
      if (may_sleep) sleep_until_timer(vcpu);
    }
  }
  Scheduler.idle.add(scheduler, -1);
  Vcpu.doorbell.store(vcpu, DOORBELL_AWAKE);
  timers_run();
  return progress || has_queued(index);
}

function sleep_until_timer(vcpu: Ptr<'Vcpu'>): void {
  let ms = LONGEST_SLEEP_MS;
  // Virtual time does not pass by sleeping: the vCPU that goes idle last makes it jump.
  if (!clock_is_virtual()) ms = Math.min(ms, (next_deadline_hint() - monotonic_ns()) / 1e6);
  if (ms > 0) Atomics.wait(I32, Vcpu.doorbell.index(vcpu), DOORBELL_ASLEEP, ms);
}
