// @hot
/**
 * Fault injection: the nth place of a call that can fail for a reason of the machine's does. A reservation of memory (a
 * record, a heap page, a frame) fails as if there were none left, an access to user memory (a page of a copy) as if it
 * were not mapped, an operation of the host's files with EIO: Linux's failslab, fail_page_alloc, fail_usercopy and
 * fail_make_request in one count.
 *
 * The countdown is that of the task this thread runs (Task.fail_nth keeps it while the task is not running), as
 * Linux's /proc/PID/fail-nth. Each place tests one variable; it is 0 except in a call that asks for a fault.
 */

/** Places up to and including the one that fails; 0: none will. */
export let faults_countdown = 0;

/** Sets the countdown of the task that runs from now on. */
export function set_faults(countdown: number): void {
  faults_countdown = countdown;
}

/** Whether a fault was asked for and has not happened yet. */
export function fault_is_pending(): boolean {
  return faults_countdown !== 0;
}

/** For such a place, while `faults_countdown` is not 0: whether this is the one that fails. */
export function fault_now(): boolean {
  return --faults_countdown === 0;
}
