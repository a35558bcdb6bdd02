/**
 * Task: a Linux thread. Never owns a JS stack (DESIGN D3): when it blocks, its wait entries are on wait
 * queues and its progress is here; some vCPU calls the same handler again after a wake.
 *
 * state:   TASK_RUNNING on a vCPU or a run queue; TASK_BLOCKED; TASK_STOPPED; TASK_ZOMBIE; TASK_DEAD.
 *          The word also carries TASK_WOKEN, set by a wake that meets the task still running, so that
 *          the commit to TASK_BLOCKED fails and the handler is tried again: no wake-up is lost.
 *
 * refs:    one for the process tree (until reaped), one for its execution (until the run loop has left it for
 *          good), and short-lived ones of those who look it up.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';
import { WaitQueue } from '../heap/wait_queue.ts';
import { Timer } from '../time/time.layout.ts';
import { PendingSignals } from './signal.layout.ts';

export const TASK_RUNNING = 0;
export const TASK_BLOCKED = 1;
export const TASK_STOPPED = 2;
export const TASK_ZOMBIE = 3;
export const TASK_DEAD = 4;
export const TASK_STATE_MASK = 0xff;
export const TASK_WOKEN = 0x100;

/** Bits of `pending_work`: looked at before each return to the guest. */
export const WORK_SIGNAL = 1;
export const WORK_EXIT = 2;
export const WORK_STOP = 4;
export const WORK_RESCHEDULE = 8;

/** Bits of `call_leftovers`: what the dispatcher gives back when the call ends. */
export const CALL_WAITS = 1;
export const CALL_FILES = 2;
export const CALL_ARGUMENTS = 4;
/** Among the queue entries is an exclusive one. */
export const CALL_EXCLUSIVE = 8;

/** Values of `resume`: what the task does when a vCPU picks it up. */
export const RESUME_GUEST = 0;
/** Enter the blocked call's handler again. */
export const RESUME_SYSCALL = 1;
/** The task has never run: do what remains of its creation in its own address space. */
export const RESUME_START = 2;
/** In a call that was preempted. */
export const RESUME_PREEMPTED = 3;

const l = layout('Task');
export const Task = l.done(
  {
    state: l.atomic(),
    /** WORK_*: anyone sets, the running vCPU takes. */
    pending_work: l.atomic(),
    /** Changes only when a thread that is not the leader execs: it becomes the leader. */
    tid: l.i32('guarded by tasklist'),
    /** Wait status of this thread, in the encoding of wait4(2). */
    exit_code: l.i32('owner'),
    cpu: l.ptr('CpuState', 'immutable'),
    group: l.ptr('ThreadGroup', 'immutable'),
    mm: l.ptr('Mm', 'owner'),
    files: l.ptr('Files', 'owner'),
    fs: l.ptr('FsContext', 'owner'),
    /** Immutable once published; replaced as a whole by set*id and exec. */
    credentials: l.ptr('Credentials', 'owner'),
    /** Another one with each change of credentials and in each new process: whose they are (Linux's cred pointer). */
    credentials_number: l.u32('owner'),
    pid: l.ptr('Pid', 'guarded by tasklist'),
    thread_next: l.ptr('Task', 'guarded by tasklist'),
    thread_previous: l.ptr('Task', 'guarded by tasklist'),

    /** Number of the syscall in progress, -1 outside one; its handler's progress is the block below. */
    syscall_number: l.i32('owner'),
    /** How often the handler was entered for this call: 0 the first time. */
    syscall_entries: l.i32('owner'),
    /** The handler's own phase and progress; all zero at the first entry. */
    syscall_phase: l.i32('owner'),
    syscall_aux: l.u32('owner'),
    syscall_progress: l.f64('owner'),
    /** Absolute deadline in ns on the machine's monotonic clock; 0 is none. */
    syscall_deadline: l.f64('owner'),
    /** RESUME_*. */
    resume: l.i32('owner'),
    /** After -ERESTART_RESTARTBLOCK: index of the restart function, and the deadline it keeps. */
    restart_kind: l.i32('owner'),
    restart_deadline: l.f64('owner'),
    deadline_timer: l.embed(Timer),
    wait_head: l.ptr('WaitEntry', 'owner'),
    /** CALL_*: what the call in progress may hold: queue entries or a deadline, files, arguments. */
    call_leftovers: l.u32('owner'),
    /** What the call read from user memory before it slept (kernel/call_arguments.ts). */
    kept_arguments: l.ptr('KeptArgument', 'owner'),

    /** Written by the task under the group's lock; senders read it under that lock. */
    blocked_signals: l.u64('guarded by sighand'),
    /** The mask to return to after sigsuspend, ppoll...; valid while restore_mask is 1. */
    saved_blocked_signals: l.u64('owner'),
    restore_mask: l.i32('owner'),
    /** Signals that rt_sigtimedwait is waiting for: a send of one wakes the task though it is blocked. */
    awaited_signals: l.u64('guarded by sighand'),
    pending: l.embed(PendingSignals),
    altstack_address: l.f64('owner'),
    altstack_size: l.f64('owner'),
    altstack_flags: l.u32('owner'),
    death_signal: l.i32('owner'),

    /** Last CPU exception: vector, error code and CR2, as a handler's ucontext shows them. */
    trap_number: l.u32('owner'),
    trap_error: l.u32('owner'),
    trap_address: l.u64('owner'),

    run_next: l.ptr('Task', 'guarded by run_queue'),
    /** vCPU that ran the task last. */
    vcpu: l.i32('guarded by run_queue'),
    nice: l.i32('guarded by tasklist'),
    /** SCHED_DEADLINE's reservation, ns: kept and told. */
    deadline_runtime: l.f64('guarded by tasklist'),
    deadline_deadline: l.f64('guarded by tasklist'),
    deadline_period: l.f64('guarded by tasklist'),
    policy: l.i32('guarded by tasklist'),
    priority: l.i32('guarded by tasklist'),
    io_priority: l.i32('guarded by tasklist'),
    affinity: l.u64('guarded by tasklist'),
    /** CPU time in ns, without the slice in progress, which began at run_start. */
    cpu_ns: l.f64('owner'),
    run_start: l.f64('owner'),
    voluntary_switches: l.u32('owner'),
    involuntary_switches: l.u32('owner'),
    minor_faults: l.u32('owner'),
    timer_slack: l.f64('owner'),
    /** What setting it to 0 means: the creator's value at fork; 0 for the first task. */
    default_timer_slack: l.f64('owner'),
    /** Monotonic ns of creation: starttime in /proc. */
    start_ns: l.f64('immutable'),

    refs: l.atomic(),
    lock: l.embed(Lock),
    clear_child_tid: l.f64('owner'),
    set_child_tid: l.f64('owner'),
    robust_list: l.f64('owner'),
    rseq: l.f64('owner'),
    personality: l.u32('owner'),
    /** execve between loading the program and the death of the other threads: what it will run. */
    exec_mm: l.ptr('Mm', 'owner'),
    exec_credentials: l.ptr('Credentials', 'owner'),
    exec_rip: l.f64('owner'),
    exec_rsp: l.f64('owner'),
    exec_comm: l.bytes(16, 8, 'owner'),
    /** The child of a vfork: 1 until it execs or exits; its parent waits on vfork_queue. */
    vfork_pending: l.atomic(),
    vfork_queue: l.embed(WaitQueue),
    comm: l.bytes(16, 8, 'owner'),

    /** In F_SETLKW: the Files that holds the lock waited for, 0 otherwise. A number to compare, never followed. */
    lock_blocker: l.atomic(),
    /** Its coverage is collected there; and the handle under which others collect for it. */
    kcov: l.ptr('Kcov', 'owner'),
    kcov_handle: l.u32('owner'),
    /** Files that the call in progress keeps referenced (kernel/fd_table.ts): pairs of descriptor + 1, file. */
    held_count: l.u32('owner'),
    held_more: l.ptr('HeldFiles', 'owner'),
    held: l.bytes(4 * 8, 4, 'owner'),
    /** Countdown to an injected fault while the task is not running (heap/fault_injection.ts); 0 none. */
    fail_nth: l.u32('owner'),
  },
  1024,
);
