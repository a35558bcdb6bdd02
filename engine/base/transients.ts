/**
 * What a thread's JavaScript objects hold in the middle of a piece of kernel work, and give back at its end: places on
 * the way through the name space, pages and frames to be freed. Between two guest instructions there is nothing of it.
 * A panic leaves it behind: who keeps such things registers how to forget them, so that the thread can serve another
 * machine.
 */
const registered: (() => void)[] = [];

/** Registers, at module load, how to forget without touching the machine, which is dead. */
export function register_transient(forget: () => void): void {
  registered.push(forget);
}

/** After a panic: forgets everything. */
export function forget_transients(): void {
  for (const forget of registered) forget();
}
