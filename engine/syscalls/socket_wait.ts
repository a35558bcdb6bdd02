/** Waiting for sockets, with the timeouts that they may have. */
import { EAGAIN, EINTR, ENOMEM, ERESTARTSYS } from '../abi/errno.ts';
import { POLLIN } from '../abi/poll.ts';
import type { Ptr } from '../base/types.ts';
import { deadline_passed, set_timeout, wait_on } from '../kernel/block.ts';
import { hold_file } from '../kernel/fd_table.ts';
import { socket_of } from '../socket/unix.ts';
import { datagrams_ended } from '../socket/unix_io.ts';

/**
 * Waits on a queue for a socket call: what `wait_on` answers, -EAGAIN once `timeout` ns (0: none) have passed, 0 where
 * no datagram will come. A call with a timeout is not restarted after a signal (signal(7)).
 */
export function wait_for_socket(
  fd: number,
  file: Ptr<'File'>,
  queue: Ptr<'WaitQueue'>,
  events: number,
  timeout: number,
  exclusive = false,
): number {
  if (timeout > 0) {
    if (deadline_passed()) return -EAGAIN;
    set_timeout(timeout);
  }
  if ((events & POLLIN) !== 0 && datagrams_ended(socket_of(file))) return 0;
  if (!hold_file(fd, file)) return -ENOMEM;
  const waiting = wait_on(queue, events, exclusive);
  return waiting === -ERESTARTSYS && timeout > 0 ? -EINTR : waiting;
}
