/**
 * The executor: runs programs on a machine of its own, in the calling thread, and brings the machine back to where it
 * was after each (executor.ts has the face, boot.ts the machine, snapshot/shadow.ts the reset).
 *
 *   run   load -> turns of the vCPU until every call has ended or blocks -> kill and reap -> leaks -> reset
 *
 * A call that blocks does not hold up those behind it: when nothing can run any more, another thread goes on with the
 * program, as in syzkaller's executor. Virtual time jumps to the next timer meanwhile, so that a call with a timeout
 * ends by itself. Calls of the program's tasks count as CALL_FUEL instructions each; beyond FUEL of them the program
 * hangs.
 */
import { performance } from 'node:perf_hooks';
import { O_NONBLOCK } from '../../engine/abi/fcntl.ts';
import { POLLOUT } from '../../engine/abi/poll.ts';
import { KCOV } from '../../engine/base/instrumented.ts';
import { forget_transients } from '../../engine/base/transients.ts';
import type { Ptr } from '../../engine/base/types.ts';
import { bound_alone, bound_memory } from '../../engine/heap/memory.ts';
import { bind_slabs } from '../../engine/heap/slab.ts';
import { WaitEntry } from '../../engine/heap/wait_queue.ts';
import { set_current } from '../../engine/kernel/current.ts';
import { kill_everything, reap_root } from '../../engine/kernel/exit.ts';
import { files_lookup, files_next } from '../../engine/kernel/fd_table.ts';
import { KernelRoot } from '../../engine/kernel/kernel.layout.ts';
import { kernel_root } from '../../engine/kernel/kernel.ts';
import { enqueue, queued_tasks, wake_task } from '../../engine/kernel/scheduler.ts';
import {
  RESUME_SYSCALL,
  TASK_BLOCKED,
  TASK_RUNNING,
  TASK_STATE_MASK,
  TASK_STOPPED,
  Task,
} from '../../engine/kernel/task.layout.ts';
import { ThreadGroup } from '../../engine/kernel/thread_group.layout.ts';
import { Vcpu, vcpu_at } from '../../engine/machine/vcpu.layout.ts';
import {
  ProgramPlatform,
  program_call_of,
  program_enter,
  program_leave_behind,
} from '../../engine/platform/program/program.ts';
import { enter_machine } from '../../engine/sentry/machine.ts';
import { panic_cause } from '../../engine/sentry/panic.ts';
import { RUN_IDLE, RUN_PANICKED, run_vcpu } from '../../engine/sentry/run.ts';
import { Shadow } from '../../engine/snapshot/shadow.ts';
import { socket_root } from '../../engine/socket/root.ts';
import { SEND_SHUTDOWN, SocketRoot, UnixSocket } from '../../engine/socket/socket.layout.ts';
import { seed_random } from '../../engine/time/clock.ts';
import { File } from '../../engine/vfs/file.layout.ts';
import { file_put } from '../../engine/vfs/file.ts';
import { coverage_map } from './block_map.ts';
import { boot_exec_machine, type ExecutorConfig, make_exec_process, unmount_directory } from './boot.ts';
import type { ExecOptions, ExecOutcome, Executor, Leak, LostWakeup, PanicInfo } from './executor.ts';
import { LeakCheck } from './leaks.ts';
import { panic_info } from './panics.ts';
import { prepare_calls } from './prepare.ts';
import { make_program_thread, Recorder } from './recorder.ts';

/** Instructions (ns of virtual time) that a program may use: some thousand calls, restarts and signal handlers. */
const FUEL = 40_000_000;
/** Turns of the vCPU without a call that begins or ends, after which the tasks count as blocked: by timers, say. */
const IDLE_TURNS = 3;
/** Turns after which a program hangs whatever it does. */
const MAX_TURNS = 512;
const NONE = 0 as Ptr<'Task'>;

/** How the running of a program ended. */
interface Ran {
  readonly hang: boolean;
  readonly panic: PanicInfo | null;
  /** Nothing can run, and no timer will change that. */
  readonly at_rest?: boolean;
}

/** Whether most of the fuel went into long calls: a transfer of gigabytes takes its time, and ends in time. */
function is_at_work(): boolean {
  return KernelRoot.worked.get(kernel_root()) > FUEL / 2;
}

/**
 * Whether a task waits for room in the buffer of a socket of which more than a quarter is in use: there may be room, but
 * it is to sleep until that is so, or until it cannot send any more (unix_write_space).
 */
function waits_for_a_quarter(task: Ptr<'Task'>): boolean {
  const entry = Task.wait_head.get(task);
  if (entry === 0 || WaitEntry.sibling.get(entry) !== 0 || (WaitEntry.events.get(entry) & POLLOUT) === 0) return false;
  let socket = SocketRoot.first.get(socket_root());
  while (socket !== 0 && UnixSocket.queue.at(socket) !== WaitEntry.queue.get(entry))
    socket = UnixSocket.next.get(socket);
  if (socket === 0 || UnixSocket.charged.get(socket) * 4 <= UnixSocket.send_buffer.get(socket)) return false;
  return UnixSocket.error.get(socket) === 0 && (UnixSocket.shutdown.get(socket) & SEND_SHUTDOWN) === 0;
}

/** Takes O_NONBLOCK from all files: a call that slept already does not end for it, unless something else wakes it. */
function let_block(files: Ptr<'Files'>): void {
  for (let fd = files_next(files, 0); fd >= 0; fd = files_next(files, fd + 1)) {
    const file = files_lookup(files, fd);
    if (file === 0) continue;
    File.flags.set(file, File.flags.get(file) & ~O_NONBLOCK);
    file_put(file);
  }
}

/** An executor with a machine of its own. Throws where its memory cannot be had. */
export function create_executor(config: ExecutorConfig = {}): Executor {
  return new MachineExecutor(config);
}

class MachineExecutor implements Executor {
  readonly instrumented: boolean = KCOV;
  readonly blocks: number = KCOV ? (coverage_map()?.blocks ?? 0) : 0;
  private readonly config: ExecutorConfig;
  private readonly recorder = new Recorder();
  private readonly platform = new ProgramPlatform(this.recorder);
  private memory: WebAssembly.Memory | null = null;
  private shadow!: Shadow;
  private leak_check!: LeakCheck;
  private pid = 0;
  private lost_wakeups: LostWakeup[] = [];

  constructor(config: ExecutorConfig) {
    this.config = config;
    this.boot();
  }

  private boot(): void {
    this.memory = boot_exec_machine(this.config);
    bound_alone();
    bind_slabs();
    const bare = new Shadow();
    this.leak_check = new LeakCheck(unmount_directory);
    bare.restore();
    this.pid = Task.tid.get(this.start_process());
    this.shadow = new Shadow();
  }

  private start_process(): Ptr<'Task'> {
    const task = make_exec_process(this.config);
    enqueue(task);
    return task;
  }

  run(program: Uint32Array, options: ExecOptions): ExecOutcome {
    if (this.memory === null) throw new Error('the executor is closed');
    const calls = prepare_calls(program);
    if (bound_memory() !== this.memory) {
      enter_machine(this.memory);
      bound_alone();
    }
    this.recorder.begin(calls, options.collect, options.capture);
    this.platform.load(calls, options.seed, !options.check_leaks);
    seed_random(options.seed);
    KernelRoot.fuel_limit.set(kernel_root(), KernelRoot.retired.get(kernel_root()) + FUEL);
    try {
      return this.run_loaded(options);
    } finally {
      if (KCOV) this.recorder.coverage.end();
    }
  }

  /** Runs the program that the platform has, and makes the machine what it was before. */
  private run_loaded(options: ExecOptions): ExecOutcome {
    const { coverage } = this.recorder;
    if (KCOV) coverage.begin(options.collect);
    let ran = this.run_to_end(options.ends_at_block === true);
    if (KCOV) {
      coverage.stop();
      coverage.hand_out(this.recorder.records);
    }
    this.lost_wakeups = [];
    if (ran.at_rest === true && options.check_leaks) ran = this.find_lost_wakeup(ran);
    if (ran.panic === null && options.check_leaks) ran = this.end_processes(ran);
    if (ran.panic !== null) {
      this.renew();
      return this.outcome('panic', ran.panic, [], '', 0, 0);
    }
    let leaks: readonly Leak[] = [];
    if (options.check_leaks) {
      try {
        leaks = this.leak_check.find();
      } catch (error) {
        this.renew();
        return this.outcome('panic', panic_info(error, -1), [], '', 0, 0);
      }
    }
    return this.reset(ran.hang, leaks, options.verify_reset);
  }

  private reset(hang: boolean, leaks: readonly Leak[], verify: boolean): ExecOutcome {
    const start = performance.now();
    set_current(NONE, 0 as Ptr<'CpuState'>, 0 as Ptr<'Vcpu'>);
    const pages = this.shadow.restore();
    const reset_ns = Math.round((performance.now() - start) * 1e6);
    const corruption = verify ? this.shadow.verify() : '';
    if (corruption !== '') {
      this.renew();
      return this.outcome('corrupt', null, leaks, corruption, pages, reset_ns);
    }
    return this.outcome(hang ? 'hang' : 'done', null, leaks, '', pages, reset_ns);
  }

  /** Turns of the vCPU until nothing of the program can run any more. */
  private run_to_end(ends_at_block: boolean): Ran {
    let progress = -1;
    let still = 0;
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const sleeps = Vcpu.sleeps.get(vcpu_at(0));
      const why = run_vcpu(0, this.platform, false);
      const slept = Vcpu.sleeps.get(vcpu_at(0)) !== sleeps;
      if (why === RUN_PANICKED) return { hang: false, panic: this.panicked() };
      if (this.platform.stopped) return { hang: false, panic: null };
      if (KernelRoot.timed_out.load(kernel_root()) !== 0) return { hang: !is_at_work(), panic: null };
      still = this.platform.progress === progress ? still + 1 : 0;
      progress = this.platform.progress;
      if (why === RUN_IDLE || (still >= IDLE_TURNS && (queued_tasks() === 0 || this.main_rests(slept))))
        if (ends_at_block || !this.go_on()) return { hang: false, panic: null, at_rest: why === RUN_IDLE };
    }
    return { hang: true, panic: null };
  }

  /** Everything blocks: another thread makes the calls behind the one that does. False: the program is over. */
  private go_on(): boolean {
    const main = this.blocked_main();
    if (main === NONE) return false;
    const next = program_leave_behind(Task.cpu.get(main));
    if (next < 0 || next >= this.recorder.calls.length) return false;
    set_current(main, Task.cpu.get(main), vcpu_at(0));
    const cpu = make_program_thread();
    set_current(NONE, 0 as Ptr<'CpuState'>, 0 as Ptr<'Vcpu'>);
    if (cpu === 0) return false;
    program_enter(cpu, next, false);
    return true;
  }

  /**
   * Whether the task that makes the calls blocks, or is stopped: timers alone go on, perhaps for ever. A turn may end
   * each time when somebody has just woken it to look again; it rests then too, if all tasks have slept in the turn.
   */
  private main_rests(slept: boolean): boolean {
    const main = this.main_task();
    const state = main === NONE ? TASK_RUNNING : Task.state.load(main) & TASK_STATE_MASK;
    return state === TASK_BLOCKED || state === TASK_STOPPED || (slept && this.blocked_main() !== NONE);
  }

  /** The task that makes the calls, if it blocks, or was woken and has not looked yet whether its call can go on. */
  private blocked_main(): Ptr<'Task'> {
    const main = this.main_task();
    if (main === NONE) return NONE;
    const state = Task.state.load(main) & TASK_STATE_MASK;
    const woken = state === TASK_RUNNING && Task.resume.get(main) === RESUME_SYSCALL;
    return woken || state === TASK_BLOCKED ? main : NONE;
  }

  /** The task that makes the calls. */
  private main_task(): Ptr<'Task'> {
    for (let group = KernelRoot.roots.get(kernel_root()); group !== 0; group = ThreadGroup.sibling_next.get(group))
      if (ThreadGroup.tgid.get(group) === this.pid)
        for (let task = ThreadGroup.threads.get(group); task !== 0; task = Task.thread_next.get(task))
          if (Task.cpu.get(task) === this.platform.main) return task;
    return NONE;
  }

  /**
   * Lets every call that blocks look again, although nothing has happened: one that ends now was not woken when what it
   * waited for came.
   */
  private find_lost_wakeup(ran: Ran): Ran {
    const { records } = this.recorder;
    const blocked = records.filter(({ started, finished }) => started && !finished);
    if (blocked.length === 0) return ran;
    for (let group = KernelRoot.roots.get(kernel_root()); group !== 0; group = ThreadGroup.sibling_next.get(group))
      for (let task = ThreadGroup.threads.get(group); task !== 0; task = Task.thread_next.get(task))
        if ((Task.state.load(task) & TASK_STATE_MASK) === TASK_BLOCKED && !waits_for_a_quarter(task)) {
          // A fault that the sleep came before would be no end of the call's own.
          Task.fail_nth.set(task, 0);
          let_block(Task.files.get(task));
          wake_task(task);
        }
    if (run_vcpu(0, this.platform, false) === RUN_PANICKED) return { hang: false, panic: this.panicked() };
    for (const record of blocked) {
      if (record.finished) this.lost_wakeups.push({ call: records.indexOf(record), result: record.result });
      record.finished = false;
      record.result = 0;
    }
    return ran;
  }

  /** Kills and reaps what is left of the program. */
  private end_processes(ran: Ran): Ran {
    const root = kernel_root();
    KernelRoot.fuel_limit.set(root, Number.POSITIVE_INFINITY);
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      reap_root(this.pid);
      if (KernelRoot.roots.get(root) === 0) return ran;
      kill_everything();
      if (run_vcpu(0, this.platform, false) === RUN_PANICKED) return { hang: false, panic: this.panicked() };
    }
    return { hang: true, panic: null };
  }

  private panicked(): PanicInfo {
    const task = Vcpu.task.load(vcpu_at(0)) as Ptr<'Task'>;
    return panic_info(panic_cause(), task === 0 ? -1 : program_call_of(Task.cpu.get(task)));
  }

  /** The machine is broken: another one. */
  private renew(): void {
    forget_transients();
    this.boot();
  }

  private outcome(
    status: ExecOutcome['status'],
    panic: PanicInfo | null,
    leaks: readonly Leak[],
    corruption: string,
    dirty_pages: number,
    reset_ns: number,
  ): ExecOutcome {
    const { pid, lost_wakeups } = this;
    const { records: calls } = this.recorder;
    return { status, pid, calls, panic, leaks, corruption, dirty_pages, reset_ns, lost_wakeups };
  }

  close(): void {
    this.memory = null;
  }
}
