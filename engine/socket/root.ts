/** The machine's SocketRoot and the lock over all of its sockets. */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { SOCKET_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_SOCKET } from '../heap/machine.layout.ts';
import { I32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { dispose_messages } from './message.ts';
import { SocketRoot } from './socket.layout.ts';

const socket_roots = slab(SocketRoot);

/** The root record; boot calls this once so that live counts start with it. */
export function socket_root(): Ptr<'SocketRoot'> {
  const slot = (MachineHeader.roots.at(MACHINE) >> 2) + ROOT_SOCKET;
  const root = Atomics.load(I32, slot) as Ptr<'SocketRoot'>;
  if (root !== 0) return root;
  const fresh = socket_roots.alloc();
  assert(fresh !== 0, 'socket_root: no heap');
  const winner = Atomics.compareExchange(I32, slot, 0, fresh) as Ptr<'SocketRoot'>;
  if (winner === 0) return fresh;
  socket_roots.free(fresh);
  return winner;
}

/** Acquires the lock over all sockets. */
export function lock_sockets(): void {
  lock(SocketRoot.lock.at(socket_root()), SOCKET_LOCK);
}

/** Releases it; messages that were dropped under it are freed, and the files in them put. */
export function unlock_sockets(): void {
  unlock(SocketRoot.lock.at(socket_root()), SOCKET_LOCK);
  dispose_messages();
}
