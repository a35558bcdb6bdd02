/**
 * execve after the program is loaded: the other threads die, the calling one becomes the leader, and what execve(2)
 * lists under "the following process attributes are not preserved" is reset. Linux: begin_new_exec, de_thread.
 *
 * The loaded program waits in the task record while the threads die, since no JS state lives across a block.
 */
import { EAGAIN, ENOMEM } from '../abi/errno.ts';
import { SIGKILL } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { CpuState, RSP } from '../machine/cpu.layout.ts';
import { reset_cpu } from '../machine/cpu.ts';
import { mm_activate, mm_put } from '../mm/address_space.ts';
import { drop_altstack } from './altstack.ts';
import { wait_on_killable } from './block.ts';
import { copy_actions, reset_handlers } from './clone.ts';
import { credentials_commit, credentials_put } from './credentials.ts';
import { current, current_cpu, current_vcpu } from './current.ts';
import { exit_memory } from './exit.ts';
import { Files } from './files.layout.ts';
import { files_close_on_exec } from './files.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { apply_memory_limits } from './limits.ts';
import { posix_timers_end } from './posix_timer.ts';
import { clone_resource, release_resource } from './resources.ts';
import { SigHand } from './signal.layout.ts';
import { kill_group_locked, kill_thread, lock_signals, unlock_signals } from './signal.ts';
import { TASK_ZOMBIE, Task } from './task.layout.ts';
import { sighand_create, sighand_put, task_release } from './task.ts';
import { task_replace_mm } from './task_mm.ts';
import { task_replace_files } from './task_shared.ts';
import { GROUP_EXECED, GROUP_EXITING, Pid, ThreadGroup } from './thread_group.layout.ts';

const POLLIN = 1;

/** Keeps the loaded program in the task; one reference each of `mm` and `credentials` (0: unchanged) is taken over. */
export function exec_keep(mm: Ptr<'Mm'>, rip: number, rsp: number, credentials: Ptr<'Credentials'>): void {
  Task.exec_mm.set(current, mm);
  Task.exec_rip.set(current, rip);
  Task.exec_rsp.set(current, rsp);
  Task.exec_credentials.set(current, credentials);
}

/** The exec fails after all: gives the kept program back. */
export function exec_abandon(): void {
  const mm = Task.exec_mm.get(current);
  const credentials = Task.exec_credentials.get(current);
  exec_keep(0 as Ptr<'Mm'>, 0, 0, 0 as Ptr<'Credentials'>);
  if (mm !== 0) mm_put(mm);
  if (credentials !== 0) credentials_put(credentials);
}

/** A descriptor table of one's own, since close-on-exec must not touch another task's: 0 or -ENOMEM. */
export function exec_unshare_files(): number {
  const files = Task.files.get(current);
  if (files === 0 || Files.refs.load(files) === 1) return 0;
  const copy = clone_resource('files', files, false);
  if (copy === 0) return -ENOMEM;
  release_resource('files', task_replace_files(current, copy));
  return 0;
}

/**
 * Ends the other threads and waits for it: 0 when the current task is alone and the leader, the results of waiting,
 * or -EAGAIN when the process is ending or another thread execs.
 */
export function exec_dethread(): number {
  const group = Task.group.get(current);
  lock_signals(group);
  const other = ThreadGroup.exec_task.get(group);
  const refused = (ThreadGroup.flags.load(group) & GROUP_EXITING) !== 0 || (other !== 0 && other !== current);
  if (!refused && other === 0) {
    ThreadGroup.exec_task.set(group, current);
    for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t))
      if (t !== current) kill_thread(t);
  }
  unlock_signals(group);
  if (refused) return -EAGAIN;
  lock_tasklist();
  const alone = others_are_gone(group);
  if (alone) become_leader(group);
  unlock_tasklist();
  const result = alone ? 0 : wait_on_killable(ThreadGroup.exec_queue.at(group), POLLIN);
  if (result === 0 || (result < 0 && result > -0x1000)) {
    lock_signals(group);
    ThreadGroup.exec_task.set(group, 0 as Ptr<'Task'>);
    unlock_signals(group);
  }
  return result;
}

/** Whether no thread is left but the current one and a leader that is a zombie. Under the tasklist lock. */
function others_are_gone(group: Ptr<'ThreadGroup'>): boolean {
  const leader = ThreadGroup.leader.get(group);
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t)) {
    if (t !== current && (t !== leader || (Task.state.load(t) & 0xff) !== TASK_ZOMBIE)) return false;
  }
  return true;
}

/** The exec'ing thread takes over the leader's number and place; the old leader goes under its number. */
function become_leader(group: Ptr<'ThreadGroup'>): void {
  const leader = ThreadGroup.leader.get(group);
  if (leader === current) return;
  const old = Task.pid.get(leader);
  const own = Task.pid.get(current);
  Task.pid.set(leader, own);
  Task.tid.set(leader, Pid.number.get(own));
  Pid.task.set(own, leader);
  Task.pid.set(current, old);
  Task.tid.set(current, Pid.number.get(old));
  Pid.task.set(old, current);
  ThreadGroup.leader.set(group, current);
  task_release(leader);
}

/** Becomes the kept program: new memory, default handlers, close-on-exec, fresh registers. */
export function exec_commit(): void {
  const task = current;
  const group = Task.group.get(task);
  const mm = Task.exec_mm.get(task);
  const credentials = Task.exec_credentials.get(task);
  const rip = Task.exec_rip.get(task);
  const rsp = Task.exec_rsp.get(task);
  exec_keep(0 as Ptr<'Mm'>, 0, 0, 0 as Ptr<'Credentials'>);
  exit_memory(task);
  task_replace_mm(task, mm);
  mm_activate(mm, current_vcpu);
  apply_memory_limits(group);
  posix_timers_end(group);
  reset_signals(group);
  if (Task.files.get(task) !== 0) files_close_on_exec(Task.files.get(task));
  if (credentials !== 0) {
    credentials_commit(credentials);
    Task.death_signal.set(task, 0);
  }
  ThreadGroup.flags.or(group, GROUP_EXECED);
  Task.set_child_tid.set(task, 0);
  Task.rseq.set(task, 0);
  reset_cpu(current_cpu);
  CpuState.rip.set(current_cpu, rip);
  const at = (current_cpu + RSP * 8) >> 2;
  U32[at] = rsp;
  U32[at + 1] = Math.floor(rsp / 2 ** 32);
}

/** Handlers become defaults, in a table of one's own; the alternate stack is gone; mask and pending signals stay. */
function reset_signals(group: Ptr<'ThreadGroup'>): void {
  const old = ThreadGroup.sighand.get(group);
  let sighand = old;
  if (SigHand.refs.load(old) > 1) {
    sighand = sighand_create();
    if (sighand !== 0) copy_actions(sighand, old);
  }
  lock_signals(group);
  // Past the point of no return: without memory for its own actions the process dies, as in Linux.
  if (sighand === 0) kill_group_locked(group, SIGKILL);
  else {
    reset_handlers(sighand);
    ThreadGroup.sighand.set(group, sighand);
  }
  unlock_signals(group);
  if (sighand !== 0 && sighand !== old) sighand_put(old);
  drop_altstack();
}
