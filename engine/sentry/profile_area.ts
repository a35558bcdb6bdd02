/**
 * What a sampler and the vCPUs of a profiled machine share: for each vCPU the time, in microseconds, that the sampler
 * found it in each state since the vCPU last took it out. Memory of its own, outside of the machine: a snapshot of the
 * machine has nothing of it, and what the guest does cannot depend on it.
 *
 *   sampler   every PROFILE_INTERVAL_MS: looks at each vCPU, adds the time since the last look to a state, and interrupts
 *             the vCPU if it runs something (INTERRUPT_PROFILE)
 *   vCPU      at the next block boundary, or on its way back to guest code: takes the times out, and notes whose they are
 *
 * Why a clock on another thread and not the count of instructions: a profile tells where time goes, and most of what is
 * slow costs no instructions: system calls, faults, translating, waiting. What the guest does stays as deterministic as
 * it is: a vCPU that is interrupted goes on with the same task and the same fuel.
 */

/** States of a vCPU: without a task, in guest code, in its translator; then system calls by number. */
export const STATE_IDLE = 0;
export const STATE_GUEST = 1;
export const STATE_TRANSLATOR = 2;
export const STATE_CALLS = 3;
export const PROFILED_CALLS = 512;

export const PROFILE_INTERVAL_MS = 1;

/** Words: who runs (0 nobody yet, 1 the sampler runs, 2 it shall end), then a block for each vCPU. */
const CONTROL = 0;
const FIRST_BLOCK = 16;
/** Thread that the last system call seen was made by, then a word for each state. */
const BLOCK_TID = 0;
const BLOCK_STATES = 1;
const BLOCK_WORDS = 528;

const RUNNING = 1;
const ENDING = 2;

/** A view of the shared words. */
export class ProfileArea {
  readonly words: Int32Array;

  /** The words of a new area for so many vCPUs. */
  static create(vcpus: number): SharedArrayBuffer {
    return new SharedArrayBuffer((FIRST_BLOCK + vcpus * BLOCK_WORDS) * 4);
  }

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
  }

  /** Of the sampler: it is about to begin. */
  begin(): void {
    Atomics.compareExchange(this.words, CONTROL, 0, RUNNING);
  }

  /** Whether the sampler has begun. */
  begun(): boolean {
    return Atomics.load(this.words, CONTROL) !== 0;
  }

  /** Of the sampler: sleeps for an interval. False when it is to end. */
  sleep(): boolean {
    return Atomics.wait(this.words, CONTROL, RUNNING, PROFILE_INTERVAL_MS) === 'timed-out';
  }

  /** Ends the sampler. */
  end(): void {
    Atomics.store(this.words, CONTROL, ENDING);
    Atomics.notify(this.words, CONTROL);
  }

  /** Adds microseconds to a state of a vCPU; `tid` is the thread that makes a system call. */
  add(vcpu: number, state: number, microseconds: number, tid: number): void {
    const block = FIRST_BLOCK + vcpu * BLOCK_WORDS;
    if (state >= STATE_CALLS) Atomics.store(this.words, block + BLOCK_TID, tid);
    Atomics.add(this.words, block + BLOCK_STATES + state, microseconds);
  }

  /** The thread behind the vCPU's last system call. */
  tid(vcpu: number): number {
    return Atomics.load(this.words, FIRST_BLOCK + vcpu * BLOCK_WORDS + BLOCK_TID);
  }

  /** Takes out what is in a state. */
  take(vcpu: number, state: number): number {
    const at = FIRST_BLOCK + vcpu * BLOCK_WORDS + BLOCK_STATES + state;
    return this.words[at] === 0 ? 0 : Atomics.exchange(this.words, at, 0);
  }
}
