/**
 * KernelRoot (ROOT_KERNEL): limits, the process tree's lock, the pid table, and how the machine ends.
 * Scheduler (ROOT_SCHED): run queues, one for each vCPU.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';
import { WaitQueue } from '../heap/wait_queue.ts';
import { Timer } from '../time/time.layout.ts';

/** Numbers handed out are 1 to PID_LIMIT - 1 (Linux's default pid_max). */
export const PID_LIMIT = 32768;
export const PID_PAGE_ENTRIES = 1024;

/** Values of `ended`. */
export const MACHINE_RUNS = 0;
/** Every root process has ended, or the host asked for the end. */
export const MACHINE_ENDED = 1;
export const MACHINE_PANICKED = 2;

const l = layout('KernelRoot');
export const KernelRoot = l.done(
  {
    tasklist: l.embed(Lock),
    /** Tasks that exist, and how many may. */
    task_count: l.atomic(),
    task_limit: l.u32('immutable'),
    last_pid: l.i32('guarded by tasklist'),
    ended: l.atomic(),
    /** 1 once a limit of time or fuel has killed the processes. */
    timed_out: l.atomic(),
    /** 1: the end of the last root process is not the end of the machine. */
    persistent: l.u32('immutable'),
    /** Root processes (no parent): their zombies are kept for the host. Linked by sibling_next. */
    roots: l.ptr('ThreadGroup', 'guarded by tasklist'),
    /** Woken when a root process ends. */
    root_queue: l.embed(WaitQueue),
    /** Tasks that sleep on CPU clocks. */
    cpu_sleepers: l.embed(WaitQueue),
    /** Rises with each end of a root process and of the machine: hosts wait on this word. */
    event_count: l.atomic(),
    queued_signals: l.atomic(),
    /** Armed for the machine's time limit, if it has one. */
    limit_timer: l.embed(Timer),
    /** Guest instructions after which the machine ends, Infinity none; and how many were retired. */
    fuel_limit: l.f64('guarded by boot'),
    retired: l.f64('guarded by tasklist'),
    /** How much of that is work of long system calls. */
    worked: l.f64('guarded by tasklist'),
    /** Tasks ever created (/proc/stat processes). */
    forks: l.atomic(),
    /** Last Task.credentials_number. */
    credentials_numbers: l.atomic(),
    hostname_length: l.u32('guarded by tasklist'),
    hostname: l.bytes(64, 8, 'guarded by tasklist'),
    domain_length: l.u32('guarded by tasklist'),
    domain: l.bytes(64, 8, 'guarded by tasklist'),
    /** Pages of the pid table: PID_PAGE_ENTRIES pointers to Pid each; 0 until first used. */
    pid_pages: l.bytes((PID_LIMIT / PID_PAGE_ENTRIES) * 4, 8, 'guarded by tasklist'),
  },
  512,
);

const r = layout('RunQueue');
export const RunQueue = r.done(
  {
    lock: r.embed(Lock),
    head: r.ptr('Task', 'guarded by lock'),
    tail: r.ptr('Task', 'guarded by lock'),
    /** Tasks in the queue; read without the lock as a hint. */
    length: r.atomic(),
  },
  24,
);

const s = layout('Scheduler');
export const Scheduler = s.done(
  {
    /** vCPUs that a thread serves now. */
    online: s.atomic(),
    /** 1: work waits and no vCPU is idle, but the host could start another one. */
    wanted: s.atomic(),
    /** vCPUs asleep in `idle_sleep`. */
    idle: s.atomic(),
    /** Where the next wake from a thread without a vCPU goes. */
    next_remote: s.atomic(),
    /** Guest instructions in a slice. */
    slice_fuel: s.i32('immutable'),
    switches: s.atomic(),
    queues: s.bytes(64 * 24, 8, 'guarded by run_queue'),
  },
  1568,
);
