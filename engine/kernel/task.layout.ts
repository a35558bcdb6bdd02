/**
 * Task: a Linux thread. Never owns a JS stack (DESIGN D3): when it blocks, its wait entries are on wait
 * queues and its progress is here; some vCPU calls the same handler again after a wake.
 *
 * state:   TASK_RUNNING on a vCPU or a run queue; TASK_BLOCKED; TASK_STOPPED; TASK_ZOMBIE; TASK_DEAD.
 *          The word also carries TASK_WOKEN, set by a wake that meets the task still running, so that
 *          the commit to TASK_BLOCKED fails and the handler is tried again: no wake-up is lost.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

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

const l = layout('Task');
export const Task = l.done(
  {
    state: l.atomic(),
    /** WORK_*: anyone sets, the running vCPU takes. */
    pending_work: l.atomic(),
    tid: l.i32('immutable'),
    exit_code: l.i32('owner'),
    cpu: l.ptr('CpuState', 'immutable'),
    group: l.ptr('ThreadGroup', 'immutable'),
    mm: l.ptr('Mm', 'owner'),
    files: l.ptr('Files', 'owner'),
    fs: l.ptr('FsContext', 'owner'),
    /** Immutable once published; replaced as a whole by set*id and exec. */
    credentials: l.ptr('Credentials', 'owner'),
    parent: l.ptr('Task', 'guarded by tasklist'),

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

    blocked_signals: l.u64('owner'),
    saved_blocked_signals: l.u64('owner'),
    pending_signals: l.u64('guarded by sighand'),

    run_next: l.ptr('Task', 'guarded by run_queue'),
    vcpu: l.i32('guarded by run_queue'),
    refs: l.atomic(),
    wait_head: l.ptr('WaitEntry', 'owner'),
    lock: l.embed(Lock),
    clear_child_tid: l.f64('owner'),
    robust_list: l.f64('owner'),
    comm: l.bytes(16, 8, 'owner'),

    /** Files that the call in progress keeps referenced (kernel/fd_table.ts): pairs of descriptor + 1, file. */
    held_count: l.u32('owner'),
    held_more: l.ptr('HeldFiles', 'owner'),
    held: l.bytes(4 * 8, 4, 'owner'),
  },
  1024,
);
