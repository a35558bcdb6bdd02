/** Waiting for a word of a machine's memory to change, on an event loop. */
import { I32 } from '../heap/memory.ts';

/** What Atomics.waitAsync answers; the library of the language version we compile for lacks it. */
interface AsyncWait {
  waitAsync(
    array: Int32Array,
    index: number,
    value: number,
  ): { async: false; value: 'not-equal' | 'timed-out' } | { async: true; value: Promise<'ok' | 'timed-out'> };
}

/** Watches one word; at most one wait is outstanding, however often it is armed. */
export class WordWatch {
  private armed = false;
  private readonly changed: () => void;

  /** `changed` is called after the word was notified, or when it had changed before the wait began. */
  constructor(changed: () => void) {
    this.changed = changed;
  }

  /** Waits for the word at `index` of the bound memory unless a wait is outstanding; `seen` is its value as last read. */
  arm(index: number, seen: number): void {
    if (this.armed) return;
    this.armed = true;
    const wait = (Atomics as unknown as AsyncWait).waitAsync(I32, index, seen);
    const fire = (): void => {
      this.armed = false;
      this.changed();
    };
    // Through the event loop: a word that keeps changing leaves timers, streams and an inline vCPU their turns.
    if (wait.async) void wait.value.then(fire);
    else setImmediate(fire);
  }
}
