/**
 * System V semaphores (semget(2), semop(2); Linux ipc/sem.c). A call's operations are tried as a whole under the lock:
 * all are done or none. A task that must wait is counted at the semaphore that stopped it and tries again after any
 * change of the set. Undo amounts hang off the set, one record for each process and semaphore.
 */

import { EAGAIN, EINVAL, ENOMEM, ENOSPC, ERANGE } from '../../abi/errno.ts';
import { IPC_NOWAIT, SEM_UNDO, SEMMNS, SEMMSL, SEMVMX } from '../../abi/ipc.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_zero } from '../../heap/bytes.ts';
import { heap_has_room, heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { U8, U32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { current } from '../current.ts';
import { register_exit_hooks } from '../exit.ts';
import { Task } from '../task.layout.ts';
import { ThreadGroup } from '../thread_group.layout.ts';
import {
  ipc_add,
  ipc_at,
  ipc_own,
  ipc_remove,
  ipc_root,
  ipc_seconds,
  ipc_table,
  ipc_wake,
  lock_ipc,
  unlock_ipc,
} from './ids.ts';
import {
  IPC_SEM,
  IpcObject,
  IpcRoot,
  IpcTable,
  SEMAPHORE_BYTES,
  SEMAPHORES_INLINE,
  SEMAPHORES_PER_PAGE,
  Semaphore,
  SemSet,
  SemUndo,
} from './ipc.layout.ts';

type S = Ptr<'SemSet'>;
type Group = Ptr<'ThreadGroup'>;

export const sem_sets = slab(SemSet);
export const sem_undos = slab(SemUndo);

/** Bytes of struct sembuf: number u16, operation s16, flags s16. */
export const SEMBUF_BYTES = 6;

function page_slot(set: S, page: number): number {
  return (SemSet.pages.at(set) >> 2) + page;
}

/** Semaphore `number` of a set. */
export function semaphore_at(set: S, number: number): Ptr<'Semaphore'> {
  if (SemSet.count.get(set) <= SEMAPHORES_INLINE)
    return (SemSet.pages.at(set) + number * SEMAPHORE_BYTES) as Ptr<'Semaphore'>;
  const page = U32[page_slot(set, Math.floor(number / SEMAPHORES_PER_PAGE))] as number;
  return (page + (number % SEMAPHORES_PER_PAGE) * SEMAPHORE_BYTES) as Ptr<'Semaphore'>;
}

function pages_of(count: number): number {
  return count <= SEMAPHORES_INLINE ? 0 : Math.ceil(count / SEMAPHORES_PER_PAGE);
}

function free_set(set: S): void {
  for (let i = pages_of(SemSet.count.get(set)) - 1; i >= 0; i--) {
    const page = U32[page_slot(set, i)] as number;
    if (page !== 0) heap_page_free(page);
  }
  sem_sets.free(set);
}

/** Makes a set: its identifier, -EINVAL for its size, -ENOSPC, -ENOMEM. Under the lock. */
export function sem_make(key: number, count: number, flags: number): number {
  if (count < 1 || count > SEMMSL) return -EINVAL;
  const root = ipc_root();
  if (IpcRoot.semaphores.get(root) + count > SEMMNS) return -ENOSPC;
  const set = sem_sets.alloc();
  if (set === 0) return -ENOMEM;
  SemSet.count.set(set, count);
  for (let i = 0; i < pages_of(count); i++) {
    const page = heap_has_room() ? heap_page_alloc() : 0;
    if (page === 0) {
      free_set(set);
      return -ENOMEM;
    }
    bytes_zero(page, 4096);
    U32[page_slot(set, i)] = page;
  }
  const id = ipc_add(IPC_SEM, SemSet.object.at(set), key, flags);
  if (id < 0) free_set(set);
  else IpcRoot.semaphores.set(root, IpcRoot.semaphores.get(root) + count);
  return id;
}

/** IPC_RMID: waiting tasks get EIDRM. 0 or -errno. */
export function sem_destroy(id: number): number {
  lock_ipc();
  const found = ipc_own(IPC_SEM, id);
  if (found >= 0) {
    const set = found as S;
    const root = ipc_root();
    IpcRoot.semaphores.set(root, IpcRoot.semaphores.get(root) - SemSet.count.get(set));
    ipc_remove(IPC_SEM, SemSet.object.at(set));
    for (let undo = SemSet.undos.get(set); undo !== 0; ) {
      const next = SemUndo.next.get(undo);
      sem_undos.free(undo);
      undo = next;
    }
    free_set(set);
  }
  unlock_ipc();
  if (found >= 0) ipc_wake(id);
  return Math.min(found, 0);
}

function undo_of(set: S, group: Group, number: number): Ptr<'SemUndo'> {
  let undo = SemSet.undos.get(set);
  while (undo !== 0 && !(SemUndo.group.get(undo) === group && SemUndo.semaphore.get(undo) === number))
    undo = SemUndo.next.get(undo);
  return undo;
}

/** Makes the undo records that operations at `ops` need: 0 or -ENOMEM. Under the lock. */
function reserve_undos(set: S, ops: number, count: number): number {
  const group = Task.group.get(current);
  for (let i = 0; i < count; i++) {
    const number = op_number(ops, i);
    if ((op_flags(ops, i) & SEM_UNDO) === 0 || undo_of(set, group, number) !== 0) continue;
    const undo = sem_undos.alloc();
    if (undo === 0) return -ENOMEM;
    SemUndo.group.set(undo, group);
    SemUndo.semaphore.set(undo, number);
    SemUndo.next.set(undo, SemSet.undos.get(set));
    SemSet.undos.set(set, undo);
    ThreadGroup.has_sem_undos.store(group, 1);
  }
  return 0;
}

function half(ops: number, i: number, field: number): number {
  const at = ops + i * SEMBUF_BYTES + field;
  return (U8[at] as number) | ((U8[at + 1] as number) << 8);
}
/** Fields of operation `i` of the struct sembuf array at machine address `ops`. */
export function op_number(ops: number, i: number): number {
  return half(ops, i, 0);
}
export function op_amount(ops: number, i: number): number {
  return (half(ops, i, 2) << 16) >> 16;
}
export function op_flags(ops: number, i: number): number {
  return half(ops, i, 4);
}

/** What stopped the last `sem_try`: the semaphore, and whether the task waits for it to become zero. */
export const sem_stop = { semaphore: 0 as Ptr<'Semaphore'>, number: 0, zero: false };

/** Does operation `i`: 0, 1 when it has to wait, -ERANGE. */
function apply(set: S, ops: number, i: number): number {
  const number = op_number(ops, i);
  const amount = op_amount(ops, i);
  const semaphore = semaphore_at(set, number);
  const value = Semaphore.value.get(semaphore);
  if (amount === 0 ? value !== 0 : value + amount < 0) {
    sem_stop.semaphore = semaphore;
    sem_stop.number = number;
    sem_stop.zero = amount === 0;
    return 1;
  }
  if (value + amount > SEMVMX) return -ERANGE;
  if ((op_flags(ops, i) & SEM_UNDO) !== 0) {
    const undo = undo_of(set, Task.group.get(current), number);
    const adjustment = SemUndo.adjustment.get(undo) - amount;
    if (Math.abs(adjustment) > SEMVMX) return -ERANGE;
    SemUndo.adjustment.set(undo, adjustment);
  }
  Semaphore.value.set(semaphore, value + amount);
  return 0;
}

function revert(set: S, ops: number, i: number): void {
  const number = op_number(ops, i);
  const semaphore = semaphore_at(set, number);
  Semaphore.value.set(semaphore, Semaphore.value.get(semaphore) - op_amount(ops, i));
  if ((op_flags(ops, i) & SEM_UNDO) === 0) return;
  const undo = undo_of(set, Task.group.get(current), number);
  SemUndo.adjustment.set(undo, SemUndo.adjustment.get(undo) + op_amount(ops, i));
}

/**
 * Tries the `count` operations at machine address `ops`: 0 done, 1 the caller has to wait (`sem_stop` says for what),
 * -EAGAIN with IPC_NOWAIT, -ERANGE, -ENOMEM; unless done, nothing has changed. Under the lock.
 */
export function sem_try(set: S, ops: number, count: number): number {
  const reserved = reserve_undos(set, ops, count);
  if (reserved !== 0) return reserved;
  for (let i = 0; i < count; i++) {
    const result = apply(set, ops, i);
    if (result === 0) continue;
    const no_wait = (op_flags(ops, i) & IPC_NOWAIT) !== 0;
    while (--i >= 0) revert(set, ops, i);
    return result === 1 && no_wait ? -EAGAIN : result;
  }
  const tgid = ThreadGroup.tgid.get(Task.group.get(current));
  for (let i = 0; i < count; i++) Semaphore.pid.set(semaphore_at(set, op_number(ops, i)), tgid);
  SemSet.otime.set(set, ipc_seconds());
  return 0;
}

/** Sets one semaphore (SETVAL, SETALL) and forgets what was to be undone to it. Under the lock. */
export function sem_set_value(set: S, number: number, value: number): void {
  const semaphore = semaphore_at(set, number);
  Semaphore.value.set(semaphore, value);
  Semaphore.pid.set(semaphore, ThreadGroup.tgid.get(Task.group.get(current)));
  for (let undo = SemSet.undos.get(set); undo !== 0; undo = SemUndo.next.get(undo))
    if (SemUndo.semaphore.get(undo) === number) SemUndo.adjustment.set(undo, 0);
  IpcObject.ctime.set(SemSet.object.at(set), ipc_seconds());
}

/** Undoes to one set what a process that ends asked for; whether there was anything. Under the lock. */
function undo_set(set: S, group: Group): boolean {
  let previous = 0 as Ptr<'SemUndo'>;
  let found = false;
  for (let undo = SemSet.undos.get(set); undo !== 0; ) {
    const next = SemUndo.next.get(undo);
    if (SemUndo.group.get(undo) === group) {
      found = true;
      const semaphore = semaphore_at(set, SemUndo.semaphore.get(undo));
      const value = Semaphore.value.get(semaphore) + SemUndo.adjustment.get(undo);
      Semaphore.value.set(semaphore, Math.max(0, Math.min(SEMVMX, value)));
      Semaphore.pid.set(semaphore, ThreadGroup.tgid.get(group));
      if (previous === 0) SemSet.undos.set(set, next);
      else SemUndo.next.set(previous, next);
      sem_undos.free(undo);
    } else previous = undo;
    undo = next;
  }
  return found;
}

/** The end of a process: everything it marked with SEM_UNDO is undone (Linux's exit_sem). */
function end_undos(group: Group): void {
  if (ThreadGroup.has_sem_undos.load(group) === 0) return;
  const changed: number[] = [];
  lock_ipc();
  for (let index = IpcTable.highest.get(ipc_table(IPC_SEM)); index >= 0; index--) {
    const object = ipc_at(IPC_SEM, index);
    if (object !== 0 && undo_set(object as unknown as S, group)) changed.push(IpcObject.id.get(object));
  }
  unlock_ipc();
  for (const id of changed) ipc_wake(id);
}

register_exit_hooks({ process: end_undos });
