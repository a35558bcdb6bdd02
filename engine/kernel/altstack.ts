/** The alternate signal stack: sigaltstack(2). */
import { EINVAL, ENOMEM, EPERM } from '../abi/errno.ts';
import { MINSIGSTKSZ, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from '../abi/signal.ts';
import { current } from './current.ts';
import { Task } from './task.layout.ts';

/** Whether `sp` lies on the current task's alternate stack; never with SS_AUTODISARM, which ends it at delivery. */
export function on_altstack(sp: number): boolean {
  if ((Task.altstack_flags.get(current) & SS_AUTODISARM) !== 0) return false;
  const address = Task.altstack_address.get(current);
  return sp > address && sp - address <= Task.altstack_size.get(current);
}

/** SS_DISABLE, SS_ONSTACK or 0 for stack pointer `sp`. */
export function altstack_state(sp: number): number {
  if (Task.altstack_size.get(current) === 0) return SS_DISABLE;
  return on_altstack(sp) ? SS_ONSTACK : 0;
}

/**
 * Sets the alternate stack: 0; -EPERM while on it, -EINVAL for unknown flags, -ENOMEM for one too small. One that is
 * as it was is not looked at.
 */
export function set_altstack(address: number, flags: number, size: number, sp: number): number {
  if (on_altstack(sp)) return -EPERM;
  const mode = (flags & ~SS_AUTODISARM) >>> 0;
  if (mode !== SS_DISABLE && mode !== SS_ONSTACK && mode !== 0) return -EINVAL;
  if (
    Task.altstack_address.get(current) === address &&
    Task.altstack_size.get(current) === size &&
    Task.altstack_flags.get(current) === flags >>> 0
  )
    return 0;
  const disable = mode === SS_DISABLE;
  if (!disable && size < MINSIGSTKSZ) return -ENOMEM;
  Task.altstack_address.set(current, disable ? 0 : address);
  Task.altstack_size.set(current, disable ? 0 : size);
  Task.altstack_flags.set(current, flags >>> 0);
  return 0;
}

/** Forgets the alternate stack at execve; its flags stay, as in Linux. */
export function drop_altstack(): void {
  Task.altstack_address.set(current, 0);
  Task.altstack_size.set(current, 0);
}

/** Forgets the alternate stack at a delivery with SS_AUTODISARM. */
export function reset_altstack(): void {
  Task.altstack_address.set(current, 0);
  Task.altstack_size.set(current, 0);
  Task.altstack_flags.set(current, SS_DISABLE);
}
