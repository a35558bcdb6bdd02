/**
 * ThreadGroup: a process. Pid, ProcessGroup and Session: the names under which processes are found.
 *
 * `lock` is what Linux calls sighand: it guards the signal state of the group and of its tasks. The tree
 * (parent, children, threads, process groups, sessions) is guarded by the machine's tasklist lock.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';
import { WaitQueue } from '../heap/wait_queue.ts';
import { Timer } from '../time/time.layout.ts';
import { PendingSignals } from './signal.layout.ts';

export const RLIMIT_COUNT = 16;

/** Bits of `flags`. */
/** Every thread is to exit with `exit_code`. */
export const GROUP_EXITING = 1;
/** A stop was completed and not yet reported to the parent by wait (stop_code tells the signal). */
export const GROUP_STOP_REPORT = 2;
/** The group was continued and not yet reported. */
export const GROUP_CONTINUE_REPORT = 4;
/** All threads are to be in TASK_STOPPED. */
export const GROUP_STOPPING = 8;
export const GROUP_EXECED = 16;
export const GROUP_SUBREAPER = 32;
/** Reaped, or reaping itself: no wait finds it. */
export const GROUP_REAPED = 64;
/** The last thread has exited: a zombie that wait can reap. */
export const GROUP_ZOMBIE = 128;
/** Continued: the first thread that runs again tells the parent. */
export const GROUP_NOTIFY_CONTINUED = 256;
/** No zombie is kept: the parent ignores SIGCHLD. */
export const GROUP_AUTO_REAP = 512;

const l = layout('ThreadGroup');
export const ThreadGroup = l.done(
  {
    /** One for each task record that points here. */
    refs: l.atomic(),
    tgid: l.i32('immutable'),
    lock: l.embed(Lock),
    leader: l.ptr('Task', 'guarded by tasklist'),
    /** Tasks that have not been released, the leader first; linked by thread_next. */
    threads: l.ptr('Task', 'guarded by tasklist'),
    thread_tail: l.ptr('Task', 'guarded by tasklist'),
    /** Tasks that have not exited. */
    live: l.atomic(),
    flags: l.atomic(),

    parent: l.ptr('ThreadGroup', 'guarded by tasklist'),
    /** The parent's tgid, 0 for a root process. Written under tasklist, read without: a parent may end meanwhile. */
    parent_tgid: l.atomic(),
    /** The thread that made this process: pdeathsig follows it. */
    parent_task: l.i32('guarded by tasklist'),
    /** From the oldest to the youngest. */
    children: l.ptr('ThreadGroup', 'guarded by tasklist'),
    children_last: l.ptr('ThreadGroup', 'guarded by tasklist'),
    sibling_next: l.ptr('ThreadGroup', 'guarded by tasklist'),
    sibling_previous: l.ptr('ThreadGroup', 'guarded by tasklist'),
    process_group: l.ptr('ProcessGroup', 'guarded by tasklist'),
    member_next: l.ptr('ThreadGroup', 'guarded by tasklist'),
    member_previous: l.ptr('ThreadGroup', 'guarded by tasklist'),

    /** Signal sent to the parent at the end, 0 none. */
    exit_signal: l.i32('guarded by tasklist'),
    /** Wait status of the process once GROUP_EXITING. */
    exit_code: l.i32('guarded by sighand'),
    /** Signal that stopped the group. */
    stop_signal: l.i32('guarded by sighand'),
    /** Threads that have still to stop. */
    stop_left: l.i32('guarded by sighand'),
    /** Task that is in execve and waits for the others to die, 0 none. */
    exec_task: l.ptr('Task', 'guarded by sighand'),
    exec_queue: l.embed(WaitQueue),

    sighand: l.ptr('SigHand', 'owner'),
    pending: l.embed(PendingSignals),
    /** Parents wait here for their children's changes. */
    child_queue: l.embed(WaitQueue),
    /** Woken when a signal is sent to the group or one of its tasks: signalfd. */
    signal_queue: l.embed(WaitQueue),

    real_timer: l.embed(Timer),
    real_interval: l.f64('guarded by sighand'),
    /** ITIMER_VIRTUAL and ITIMER_PROF: CPU ns at which they fire, 0 none, and their intervals. */
    virtual_expiry: l.f64('guarded by sighand'),
    virtual_interval: l.f64('guarded by sighand'),
    prof_expiry: l.f64('guarded by sighand'),
    prof_interval: l.f64('guarded by sighand'),
    /** CPU ns of the group at which the next of KernelRoot.cpu_sleepers is due, 0 none. */
    sleep_expiry: l.f64('guarded by tasklist'),
    posix_timers: l.ptr('PosixTimer', 'guarded by sighand'),
    next_timer_id: l.i32('guarded by sighand'),

    /** CPU time and counters of threads that have ended, and of reaped children. */
    dead_cpu_ns: l.f64('guarded by sighand'),
    dead_voluntary: l.f64('guarded by sighand'),
    dead_involuntary: l.f64('guarded by sighand'),
    dead_minor_faults: l.f64('guarded by sighand'),
    children_cpu_ns: l.f64('guarded by tasklist'),
    children_voluntary: l.f64('guarded by tasklist'),
    children_involuntary: l.f64('guarded by tasklist'),
    children_minor_faults: l.f64('guarded by tasklist'),
    /** Largest resident set, in pages, of address spaces given up, and of reaped children. */
    dead_maxrss: l.f64('guarded by sighand'),
    children_maxrss: l.f64('guarded by tasklist'),
    /** 1: some semaphore set holds undo amounts of the process. */
    has_sem_undos: l.atomic(),
    oom_score_adj: l.i32('guarded by sighand'),
    /** Pairs (soft, hard) of doubles; 2^64 stands for RLIM_INFINITY. */
    rlimits: l.bytes(RLIMIT_COUNT * 16, 8, 'guarded by sighand'),
  },
  800,
);

const p = layout('Pid');
/** A number in use as the id of a task, a process group or a session, or held by a pidfd. */
export const Pid = p.done(
  {
    /** Users of the number: the task, the process group, the session, pidfds. */
    refs: p.atomic(),
    number: p.i32('immutable'),
    /** The task, until it is released. */
    task: p.ptr('Task', 'guarded by tasklist'),
    process_group: p.ptr('ProcessGroup', 'guarded by tasklist'),
    session: p.ptr('Session', 'guarded by tasklist'),
    /** Woken when the process becomes a zombie: pidfd poll. */
    exit_queue: p.embed(WaitQueue),
  },
  40,
);

const g = layout('ProcessGroup');
export const ProcessGroup = g.done(
  {
    pid: g.ptr('Pid', 'immutable'),
    session: g.ptr('Session', 'immutable'),
    /** Thread groups, linked by member_next; the record goes with the last. */
    members: g.ptr('ThreadGroup', 'guarded by tasklist'),
  },
  16,
);

const s = layout('Session');
export const Session = s.done(
  {
    pid: s.ptr('Pid', 'immutable'),
    /** Process groups in it; the record goes with the last. */
    groups: s.i32('guarded by tasklist'),
    /** Controlling terminal (a record of the tty's class), 0 none. */
    terminal: s.u32('guarded by tasklist'),
  },
  16,
);
