/** The signal mask that ppoll, pselect6 and epoll_pwait set for the duration of the call. */
import { EFAULT, EINTR, EINVAL, ERESTARTNOHAND } from '../abi/errno.ts';
import { U32 } from '../heap/memory.ts';
import { is_waiting } from '../kernel/block.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { end_temporary_mask, set_temporary_mask } from '../kernel/signal_delivery.ts';
import { Task } from '../kernel/task.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in } from '../mm/uaccess.ts';

/**
 * Applies the mask at `address` (0: none): 0, -EINVAL for a size other than 8, -EFAULT. It stays for the later entries of
 * the call.
 */
export function begin_mask(address: number, size: number): number {
  if (address === 0 || Task.syscall_entries.get(current) !== 0) return 0;
  if (size !== 8) return -EINVAL;
  const scratch = Vcpu.scratch.at(current_vcpu);
  if (copy_in(scratch, address, 8) < 0) return -EFAULT;
  set_temporary_mask(U32[scratch >> 2] as number, U32[(scratch >> 2) + 1] as number);
  return 0;
}

/** Ends the mask unless the call goes on or a signal is to be delivered under it. Answers `result`. */
export function end_mask(result: number): number {
  if (is_waiting(result) || result === -EINTR || result === -ERESTARTNOHAND) return result;
  end_temporary_mask();
  return result;
}
