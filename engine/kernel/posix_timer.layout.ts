/** PosixTimer: a timer of timer_create(2), on its process's list. */
import { layout } from '../heap/layout.ts';
import { Timer } from '../time/time.layout.ts';

const l = layout('PosixTimer');
export const PosixTimer = l.done(
  {
    next: l.ptr('PosixTimer', 'guarded by sighand'),
    group: l.ptr('ThreadGroup', 'immutable'),
    id: l.i32('immutable'),
    clock: l.i32('immutable'),
    /** SIGEV_*, signal number, and the thread of SIGEV_THREAD_ID (0 none). */
    notify: l.i32('immutable'),
    signo: l.i32('immutable'),
    tid: l.i32('immutable'),
    /** For a thread's CPU clock: the thread. */
    cpu_tid: l.i32('immutable'),
    /** One for the process's list, one for each call that uses the timer. */
    refs: l.atomic(),
    /** 1 once it has expired since it was set: later expiries keep a distance. */
    fired: l.u32('guarded by sighand'),
    /** 1 once it is off the list: it is not armed any more. */
    deleted: l.u32('guarded by sighand'),
    value: l.u64('immutable'),
    interval: l.f64('guarded by sighand'),
    /** First expiry that is not counted yet, on the timer's clock (monotonic or CPU ns); 0 disarmed. */
    due: l.f64('guarded by sighand'),
    /** Expiries since the signal was queued, and the count reported with the last one taken. */
    overrun: l.f64('guarded by sighand'),
    last_overrun: l.i32('guarded by sighand'),
    timer: l.embed(Timer),
  },
  136,
);
