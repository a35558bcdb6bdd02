// @hot
/**
 * The run loop of a vCPU: the path of a system call, from top to bottom.
 *
 *   1. the scheduler picks a task; its address space is activated; it becomes `current`;
 *   2. `platform.switch_to` runs guest code; system calls happen inside it, by the hook below: dispatch, handler,
 *      result in rax, back to the guest;
 *   3. it comes back with an exit reason: a call that blocked or left work, a fault, an exception, the slice's end,
 *      an interrupt;
 *   4. pending work is done on the way back to the guest: signals, stops, the end of the task;
 *   5. a task that blocks, stops or ends is dropped, and the loop picks another; with none, the vCPU idles.
 */
import { panic } from '../base/assert.ts';
import { KCOV } from '../base/instrumented.ts';
import { register_transient } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { faults_countdown, set_faults } from '../heap/fault_injection.ts';
import { held_lock_count, set_lock_owner, set_lock_watch } from '../heap/lock.ts';
import { account_idle, account_start, account_stop } from '../kernel/cpu_time.ts';
import { check_cpu_timers, tell_cpu_sleepers } from '../kernel/cpu_timers.ts';
import { current, current_cpu, current_vcpu, set_current } from '../kernel/current.ts';
import { exit_task, kill_everything, task_dropped } from '../kernel/exit.ts';
import { kcov_enter_machine, kcov_pause, kcov_resume } from '../kernel/kcov.ts';
import { kcov_deliver } from '../kernel/kcov_trace.ts';
import { KernelRoot, MACHINE_RUNS, Scheduler } from '../kernel/kernel.layout.ts';
import { kernel_root } from '../kernel/kernel.ts';
import { SLICE_WORK, take_work } from '../kernel/long_call.ts';
import { machine_ended } from '../kernel/machine_end.ts';
import {
  commit_state,
  enqueue,
  has_queued,
  idle,
  pick_next,
  scheduler_root,
  slice_ended,
} from '../kernel/scheduler.ts';
import { AFTER_WORK_EXIT, AFTER_WORK_RESUME, AFTER_WORK_STOP, handle_work } from '../kernel/signal_delivery.ts';
import { stop_current } from '../kernel/stop.ts';
import '../kernel/task_parts.ts';
import {
  RESUME_GUEST,
  RESUME_PREEMPTED,
  RESUME_START,
  RESUME_SYSCALL,
  TASK_BLOCKED,
  Task,
  WORK_RESCHEDULE,
} from '../kernel/task.layout.ts';
import { CpuState } from '../machine/cpu.layout.ts';
import { enter_guest, enter_idle, leave_guest, leave_idle, safe_point } from '../machine/safe_point.ts';
import {
  INTERRUPT_CODE,
  INTERRUPT_FLUSH_TLB,
  INTERRUPT_PROFILE,
  INTERRUPT_STOP,
  Vcpu,
  vcpu_at,
} from '../machine/vcpu.layout.ts';
import { mm_deactivate } from '../mm/address_space.ts';
import { put_user_u32 } from '../mm/uaccess.ts';
import {
  EXIT_EXCEPTION,
  EXIT_FAULT,
  EXIT_FUEL,
  EXIT_INTERRUPT,
  EXIT_SYSCALL,
  type ExitReason,
  type Platform,
  type PlatformHooks,
} from '../platform/platform.ts';
import {
  continue_syscall,
  enter_syscall,
  resume_syscall,
  SYSCALL_BLOCKED,
  SYSCALL_PREEMPTED,
  SYSCALL_RESUME,
} from '../syscalls/dispatch.ts';
import { advance_virtual, clock_is_virtual, monotonic_ns, read_monotonic_ns } from '../time/clock.ts';
import { timers_run } from '../time/timer.ts';
import { deliver_exception, deliver_fault } from './exceptions.ts';
import { activate_memory, bind_vcpu, guest_fault } from './memory.ts';
import { has_panicked, record_panic } from './panic.ts';

/** Why `run_vcpu` returned. */
export const RUN_ENDED = 0;
/** Nothing to run, and the caller did not want to sleep. */
export const RUN_IDLE = 1;
/** INTERRUPT_STOP: somebody wants this thread back; or, where the vCPU may not sleep, its turn is over. */
export const RUN_INTERRUPTED = 2;
export const RUN_PANICKED = 3;

/** System calls in one slice before the task yields its vCPU: fuel does not count time spent in the kernel. */
const SLICE_SYSCALLS = 4000;
/** What an ordinary one of them takes: long ones count as several. */
const SYSCALL_NS = SLICE_WORK / SLICE_SYSCALLS;

/** Result of the last `hooks.syscall` on this thread; whether the call blocked. */
let syscall_result = 0;
let slice_syscalls = 0;
/** Slices and task switches after which a vCPU that may not sleep gives its thread back. */
const TURN_SLICES = 32;
let slices_left = Number.POSITIVE_INFINITY;
/**
 * Or the time after which it does so, ns: instructions that cost much (code that is rewritten, long string
 * instructions) must not keep the thread's event loop waiting. Not where the clock is virtual: a run must repeat.
 */
const TURN_NS = 50e6;
let turn_end = Number.POSITIVE_INFINITY;
/** What going idle and finding a timer due counts, in slices. */
const IDLE_SLICE = 1 / 64;

function traced_fault(address: number, access: number): number {
  const result = guest_fault(address, access);
  kcov_deliver();
  return result;
}

/** Instructions that virtual time does not have in it yet; 0 while no task runs. */
let untimed = 0;
register_transient(() => {
  untimed = 0;
});

/** Notes what the vCPU does at the moment, when a sampler has asked. */
let profiler: (() => void) | null = null;

/** Installs this thread's part of a profile; null ends it. */
export function set_profiler(sample: (() => void) | null): void {
  profiler = sample;
}

/** What the platform calls while guest code runs. Installed once a thread. */
export const platform_hooks: PlatformHooks = {
  syscall(): number {
    leave_guest(current_vcpu);
    syscall_result = enter_syscall();
    if (KCOV) kcov_deliver();
    slice_syscalls++;
    if (syscall_result !== SYSCALL_RESUME || slice_syscalls > SLICE_SYSCALLS) return 1;
    if (Vcpu.work.get(current_vcpu) >= SLICE_WORK) return 1;
    safe_point(current_vcpu);
    enter_guest(current_vcpu);
    return 0;
  },
  fault: KCOV ? traced_fault : guest_fault,
  // As the system call, on a virtual clock a reading takes time: a loop that polls the clock ends.
  tsc: read_monotonic_ns,
};

/**
 * Runs tasks on vCPU `index` in the calling thread until the machine ends, somebody interrupts, or (unless
 * `may_sleep`) there is nothing to do. A broken invariant ends the machine with a report, never the process.
 */
export function run_vcpu(index: number, platform: Platform, may_sleep: boolean): number {
  const vcpu = vcpu_at(index);
  const scheduler = scheduler_root();
  set_lock_owner(index);
  set_lock_watch(has_panicked);
  bind_vcpu(vcpu, platform);
  leave_idle(vcpu);
  set_current(0 as Ptr<'Task'>, 0 as Ptr<'CpuState'>, vcpu);
  Scheduler.online.add(scheduler, 1);
  if (KCOV) kcov_enter_machine();
  syscall_result = SYSCALL_RESUME;
  slices_left = may_sleep ? Number.POSITIVE_INFINITY : TURN_SLICES;
  turn_end = may_sleep || clock_is_virtual() ? Number.POSITIVE_INFINITY : monotonic_ns() + TURN_NS;
  account_idle();
  try {
    return run_loop(index, vcpu, platform, may_sleep);
  } catch (error) {
    record_panic(error, vcpu);
    return RUN_PANICKED;
  } finally {
    if (KCOV) kcov_pause();
    // A thread that is not in this loop holds on to no address space, which may end meanwhile.
    mm_deactivate(vcpu);
    Scheduler.online.add(scheduler, -1);
    Vcpu.mode.store(vcpu, 0);
    set_current(0 as Ptr<'Task'>, 0 as Ptr<'CpuState'>, 0 as Ptr<'Vcpu'>);
  }
}

function run_loop(index: number, vcpu: Ptr<'Vcpu'>, platform: Platform, may_sleep: boolean): number {
  for (;;) {
    if (take_interrupts(vcpu)) return RUN_INTERRUPTED;
    if (machine_ended() !== MACHINE_RUNS) return RUN_ENDED;
    timers_run();
    if (slices_left <= 0) return RUN_INTERRUPTED;
    const task = pick_next(index);
    if (task !== 0) {
      slices_left--;
      run_task(index, vcpu, platform, task);
      continue;
    }
    account_idle();
    // An idle vCPU holds on to no address space, which may end meanwhile.
    mm_deactivate(vcpu);
    enter_idle(vcpu);
    const asleep = monotonic_ns();
    const progress = idle(vcpu, may_sleep);
    leave_idle(vcpu);
    Vcpu.sleeps.set(vcpu, Vcpu.sleeps.get(vcpu) + 1);
    Vcpu.idle_ns.set(vcpu, Vcpu.idle_ns.get(vcpu) + monotonic_ns() - asleep);
    check_limits();
    if (!progress && !may_sleep) return RUN_IDLE;
    // Timers that nobody waits for may go off for ever.
    slices_left -= IDLE_SLICE;
  }
}

/** Runs one task until it blocks, stops, ends, or its slice is over and another waits. */
function run_task(index: number, vcpu: Ptr<'Vcpu'>, platform: Platform, task: Ptr<'Task'>): void {
  set_current(task, Task.cpu.get(task), vcpu);
  // Atomic: whoever gives the task work either finds it here, or the task finds the work before it runs.
  Vcpu.task.store(vcpu, task);
  Vcpu.fuel.set(vcpu, 0);
  slice_syscalls = 0;
  Vcpu.switches.set(vcpu, Vcpu.switches.get(vcpu) + 1);
  Task.vcpu.set(task, index);
  CpuState.tsc_aux.set(current_cpu, index);
  account_start(task);
  activate_memory(vcpu);
  const stays = resume_blocked_call() && run_guest(index, vcpu, platform);
  account_work();
  if (untimed !== 0) move_time();
  set_faults(0);
  Vcpu.task.store(vcpu, 0);
  set_current(0 as Ptr<'Task'>, 0 as Ptr<'CpuState'>, vcpu);
  if (stays) enqueue(task);
}

/** Guest code and the work between its runs. False: the task is gone from this vCPU; true: its slice is over. */
function run_guest(index: number, vcpu: Ptr<'Vcpu'>, platform: Platform): boolean {
  for (;;) {
    if (syscall_result === SYSCALL_PREEMPTED) return preempt_current(index);
    if (!return_work()) return false;
    if (take_interrupts(vcpu)) {
      Vcpu.interrupt.or(vcpu, INTERRUPT_STOP);
      account_stop(current);
      return true;
    }
    const reason = run_slice(vcpu, platform);
    if (reason === EXIT_SYSCALL) {
      if (syscall_result === SYSCALL_BLOCKED && !block_current()) return false;
      if (syscall_result === SYSCALL_PREEMPTED) continue;
    } else if (reason === EXIT_FAULT || reason === EXIT_EXCEPTION) deliver(reason, vcpu);
    else if (reason !== EXIT_FUEL && reason !== EXIT_INTERRUPT) panic(`unknown exit reason ${reason}`);
    if (machine_ended() !== MACHINE_RUNS) {
      account_stop(current);
      return true;
    }
    if (reason === EXIT_FUEL || slice_syscalls > SLICE_SYSCALLS) {
      slice_syscalls = 0;
      if (end_slice(index)) return true;
    } else if ((Task.pending_work.and(current, ~WORK_RESCHEDULE) & WORK_RESCHEDULE) !== 0 && has_queued(index)) {
      account_stop(current);
      return true;
    }
  }
}

/** A fault or exception of guest code that becomes a signal. */
function deliver(reason: ExitReason, vcpu: Ptr<'Vcpu'>): void {
  if (KCOV) kcov_resume(current);
  if (reason === EXIT_FAULT) deliver_fault(vcpu);
  else deliver_exception(vcpu);
  if (KCOV) kcov_pause();
}

/** One run of guest code. */
function run_slice(vcpu: Ptr<'Vcpu'>, platform: Platform): ExitReason {
  const fuel = Scheduler.slice_fuel.get(scheduler_root());
  if (Vcpu.fuel.get(vcpu) <= 0) Vcpu.fuel.set(vcpu, fuel);
  const before = Vcpu.fuel.get(vcpu);
  const syscalls_before = slice_syscalls;
  // Calls and faults are the task's own doing; what this loop does round them is not, and is left out of its coverage.
  if (KCOV) kcov_resume(current);
  enter_guest(vcpu);
  const reason = platform.switch_to(current_cpu, vcpu);
  leave_guest(vcpu);
  if (KCOV) kcov_pause();
  const retired = before - Vcpu.fuel.get(vcpu);
  Vcpu.guest_entries.set(vcpu, Vcpu.guest_entries.get(vcpu) + 1);
  Vcpu.syscalls.set(vcpu, Vcpu.syscalls.get(vcpu) + slice_syscalls - syscalls_before);
  Vcpu.retired.set(vcpu, Vcpu.retired.get(vcpu) + retired);
  if (reason === EXIT_FUEL) Vcpu.slices.set(vcpu, Vcpu.slices.get(vcpu) + 1);
  untimed += retired;
  account_work();
  // A sampler's interrupt is no event of the machine: virtual time moves where it would without.
  if (reason !== EXIT_INTERRUPT || Vcpu.interrupt.load(vcpu) !== INTERRUPT_PROFILE) move_time();
  KernelRoot.retired.set(kernel_root(), KernelRoot.retired.get(kernel_root()) + retired);
  return reason;
}

/** Takes the work of long calls into virtual time, the machine's fuel and the slice. */
function account_work(): void {
  const work = take_work();
  if (work === 0) return;
  untimed += work;
  slice_syscalls += Math.floor(work / SYSCALL_NS);
  KernelRoot.retired.set(kernel_root(), KernelRoot.retired.get(kernel_root()) + work);
  KernelRoot.worked.set(kernel_root(), KernelRoot.worked.get(kernel_root()) + work);
}

/** Virtual time takes in what guest code and long calls have run. */
function move_time(): void {
  advance_virtual(untimed);
  untimed = 0;
}

/** The slice is over: timers, limits, and whether another task should run now. */
function end_slice(index: number): boolean {
  timers_run();
  check_cpu_timers();
  check_limits();
  slice_ended(index);
  if (turn_end !== Number.POSITIVE_INFINITY && monotonic_ns() >= turn_end) slices_left = 0;
  if (--slices_left <= 0) Vcpu.interrupt.or(current_vcpu, INTERRUPT_STOP);
  if (!has_queued(index)) return false;
  Task.involuntary_switches.set(current, Task.involuntary_switches.get(current) + 1);
  account_stop(current);
  return true;
}

/** Work pending on the way back to the guest. False: the task has stopped or ended. */
function return_work(): boolean {
  while (Task.pending_work.load(current) !== 0 || Task.syscall_number.get(current) >= 0) {
    if (KCOV) kcov_resume(current);
    const after = handle_work();
    if (KCOV) kcov_pause();
    if (after === AFTER_WORK_RESUME) break;
    account_stop(current);
    if (after === AFTER_WORK_EXIT) {
      end_current();
      return false;
    }
    if (after === AFTER_WORK_STOP && stop_current()) return false;
    account_start(current);
  }
  if (held_lock_count() !== 0) panic('a lock is held on return to the guest');
  return true;
}

/** The current task was told to end. */
function end_current(): void {
  const task = current;
  tell_cpu_sleepers();
  exit_task(Task.exit_code.get(task));
  task_dropped(task);
}

/** What remains of a clone, done in the child's own address space (Linux's schedule_tail). */
function start_task(): void {
  const address = Task.set_child_tid.get(current);
  if (address !== 0) put_user_u32(address, Task.tid.get(current));
}

/** A task that was picked up in the middle of a call: its handler goes on. False: it blocks again or is gone. */
function resume_blocked_call(): boolean {
  const resume = Task.resume.get(current);
  if (resume === RESUME_GUEST) return true;
  Task.resume.set(current, RESUME_GUEST);
  if (resume === RESUME_START) {
    start_task();
    return true;
  }
  set_faults(Task.fail_nth.get(current));
  enter_again(resume === RESUME_PREEMPTED);
  return syscall_result !== SYSCALL_BLOCKED || block_current();
}

/** Enters the handler of the call again, which was blocked or preempted. */
function enter_again(preempted = false): void {
  if (KCOV) kcov_resume(current);
  syscall_result = preempted ? continue_syscall() : resume_syscall();
  if (KCOV) kcov_pause();
}

/** The current task's slice ends in the middle of a call. True: it stays runnable. */
function preempt_current(index: number): boolean {
  syscall_result = SYSCALL_RESUME;
  Task.resume.set(current, RESUME_PREEMPTED);
  Task.fail_nth.set(current, faults_countdown);
  account_work();
  move_time();
  if (!end_slice(index)) account_stop(current);
  return true;
}

/** Wakes in a row that may come before a task sleeps: no chance makes so many, only a call that wakes itself. */
const MAX_EARLY_WAKES = 100_000;

/** Puts the current task to sleep. True: a wake came first and its call has ended after all. */
function block_current(): boolean {
  const task = current;
  for (let wakes = 0; wakes < MAX_EARLY_WAKES; wakes++) {
    Task.resume.set(task, RESUME_SYSCALL);
    Task.fail_nth.set(task, faults_countdown);
    Task.voluntary_switches.set(task, Task.voluntary_switches.get(task) + 1);
    account_stop(task);
    tell_cpu_sleepers();
    if (commit_state(task, TASK_BLOCKED)) return false;
    account_start(task);
    Task.resume.set(task, RESUME_GUEST);
    enter_again();
    if (syscall_result !== SYSCALL_BLOCKED) return true;
  }
  panic('a system call wakes itself whenever it waits');
}

/** Passes a safe point and answers the bits of Vcpu.interrupt; true when this thread is to return. */
function take_interrupts(vcpu: Ptr<'Vcpu'>): boolean {
  safe_point(vcpu);
  if (Vcpu.interrupt.load(vcpu) === 0) return false;
  // Requests made since stay for the next safe point, which acts on them.
  const asked = Vcpu.interrupt.and(vcpu, INTERRUPT_FLUSH_TLB | INTERRUPT_CODE);
  if ((asked & INTERRUPT_PROFILE) !== 0) profiler?.();
  return (asked & INTERRUPT_STOP) !== 0;
}

/** When the machine's fuel is used up every process is killed, then the vCPUs leave. Time is a timer's business. */
function check_limits(): void {
  const root = kernel_root();
  if (KernelRoot.retired.get(root) <= KernelRoot.fuel_limit.get(root)) return;
  KernelRoot.fuel_limit.set(root, Number.POSITIVE_INFINITY);
  KernelRoot.timed_out.store(root, 1);
  kill_everything();
}
