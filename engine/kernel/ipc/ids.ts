/**
 * Identifiers of System V IPC: the tables, keys, permissions and waiting that the three kinds share (Linux ipc/util.c).
 */

import { CAP_IPC_OWNER, CAP_SYS_ADMIN } from '../../abi/capability.ts';
import { EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM } from '../../abi/errno.ts';
import { IPC_CREAT, IPC_EXCL, IPC_PRIVATE, MSGMNI, SEMMNI, SHM_LIMIT, SHMMNI } from '../../abi/ipc.ts';
import { assert } from '../../base/assert.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_zero } from '../../heap/bytes.ts';
import { heap_has_room, heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { IPC_LOCK } from '../../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_IPC } from '../../heap/machine.layout.ts';
import { I32, U32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { WAKE_ALL, WaitQueue, wake } from '../../heap/wait_queue.ts';
import { read_monotonic_ns, wall_seconds_at } from '../../time/clock.ts';
import { Credentials } from '../credentials.layout.ts';
import { capable, in_group } from '../credentials.ts';
import { current } from '../current.ts';
import { stage_set_u32 } from '../stage.ts';
import { Task } from '../task.layout.ts';
import {
  IPC_INDEX_LIMIT,
  IPC_KINDS,
  IPC_PAGE_ENTRIES,
  IPC_PAGES,
  IPC_WAIT_QUEUES,
  IpcObject,
  IpcRoot,
  IpcTable,
} from './ipc.layout.ts';

type O = Ptr<'IpcObject'>;

export const ipc_roots = slab(IpcRoot);
/** Sequence numbers below this one keep identifiers positive. */
const SEQUENCE_LIMIT = 0xffff;

/** Makes the IpcRoot at boot. */
export function boot_ipc(): void {
  const root = ipc_roots.alloc();
  assert(root !== 0, 'boot_ipc: no heap');
  I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_IPC] = root;
  IpcRoot.shm_max.set(root, Number(SHM_LIMIT));
  for (let kind = 0; kind < IPC_KINDS; kind++) {
    IpcTable.highest.set(ipc_table(kind), -1);
    IpcTable.last.set(ipc_table(kind), -1);
    IpcTable.next_id.set(ipc_table(kind), -1);
    IpcTable.limit.set(ipc_table(kind), [SHMMNI, SEMMNI, MSGMNI][kind] as number);
  }
}

/** The machine's IpcRoot. */
export function ipc_root(): Ptr<'IpcRoot'> {
  return I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_IPC] as Ptr<'IpcRoot'>;
}

/** Table of a kind (IPC_SHM...). */
export function ipc_table(kind: number): Ptr<'IpcTable'> {
  return (IpcRoot.tables.at(ipc_root()) + kind * IpcTable.SIZE) as Ptr<'IpcTable'>;
}

/** Acquires and releases the lock of all objects. */
export function lock_ipc(): void {
  lock(IpcRoot.lock.at(ipc_root()), IPC_LOCK);
}
export function unlock_ipc(): void {
  unlock(IpcRoot.lock.at(ipc_root()), IPC_LOCK);
}

/** Where tasks wait for changes of object `id`. */
export function ipc_queue(id: number): Ptr<'WaitQueue'> {
  return (IpcRoot.queues.at(ipc_root()) + (id % IPC_WAIT_QUEUES) * WaitQueue.SIZE) as Ptr<'WaitQueue'>;
}

/** Wakes the tasks that wait for object `id` (and some of others): they look again. */
export function ipc_wake(id: number): void {
  wake(ipc_queue(id), WAKE_ALL, Number.MAX_SAFE_INTEGER);
}

/** Wall-clock seconds, as the objects' times are told. */
export function ipc_seconds(): number {
  return wall_seconds_at(read_monotonic_ns());
}

function page_slot(table: Ptr<'IpcTable'>, index: number): number {
  return (IpcTable.pages.at(table) >> 2) + Math.floor(index / IPC_PAGE_ENTRIES);
}

/** The object at an index, or 0. Under the lock. */
export function ipc_at(kind: number, index: number): O {
  if (!(index >= 0 && index < IPC_INDEX_LIMIT)) return 0 as O;
  const page = U32[page_slot(ipc_table(kind), index)] as number;
  return (page === 0 ? 0 : (U32[(page >> 2) + (index % IPC_PAGE_ENTRIES)] as number)) as O;
}

/** The object with this identifier, or 0. Under the lock. */
export function ipc_find(kind: number, id: number): O {
  const object = id < 0 ? (0 as O) : ipc_at(kind, id % IPC_INDEX_LIMIT);
  return object !== 0 && IpcObject.id.get(object) === id ? object : (0 as O);
}

function find_key(kind: number, key: number): O {
  for (let index = IpcTable.highest.get(ipc_table(kind)); index >= 0; index--) {
    const object = ipc_at(kind, index);
    if (object !== 0 && IpcObject.key.get(object) === key) return object;
  }
  return 0 as O;
}

/**
 * Chooses the index of a new object: the next free one after the last given out, a new sequence number with each round;
 * or the first free one from that of `next_id` on, which is used up. Under the lock.
 */
function choose_index(kind: number): number {
  const table = ipc_table(kind);
  const wanted = IpcTable.next_id.get(table);
  const limit = Math.min(IpcTable.limit.get(table), IPC_INDEX_LIMIT);
  let index = wanted < 0 ? (IpcTable.last.get(table) + 1) % limit : wanted % IPC_INDEX_LIMIT;
  const bound = wanted < 0 ? limit : IPC_INDEX_LIMIT;
  while (ipc_at(kind, index) !== 0) index = (index + 1) % bound;
  if (wanted >= 0) {
    IpcTable.sequence.set(table, Math.floor(wanted / IPC_INDEX_LIMIT));
    IpcTable.next_id.set(table, -1);
  } else if (index <= IpcTable.last.get(table))
    IpcTable.sequence.set(table, (IpcTable.sequence.get(table) + 1) % SEQUENCE_LIMIT);
  return index;
}

/** Enters a new object: its identifier, -ENOSPC when there are as many as there may be, -ENOMEM. Under the lock. */
export function ipc_add(kind: number, object: O, key: number, mode: number): number {
  const table = ipc_table(kind);
  if (IpcTable.count.get(table) >= IpcTable.limit.get(table) || !heap_has_room()) return -ENOSPC;
  const index = choose_index(kind);
  const slot = page_slot(table, index);
  if (U32[slot] === 0) {
    const page = heap_page_alloc();
    if (page === 0) return -ENOMEM;
    bytes_zero(page, 4096);
    U32[slot] = page;
  }
  IpcTable.last.set(table, index);
  IpcTable.count.set(table, IpcTable.count.get(table) + 1);
  IpcTable.highest.set(table, Math.max(index, IpcTable.highest.get(table)));
  U32[((U32[slot] as number) >> 2) + (index % IPC_PAGE_ENTRIES)] = object;
  const credentials = Task.credentials.get(current);
  IpcObject.id.set(object, IpcTable.sequence.get(table) * IPC_INDEX_LIMIT + index);
  IpcObject.key.set(object, key);
  IpcObject.mode.set(object, mode & 0o777);
  for (const field of [IpcObject.uid, IpcObject.cuid]) field.set(object, Credentials.euid.get(credentials));
  for (const field of [IpcObject.gid, IpcObject.cgid]) field.set(object, Credentials.egid.get(credentials));
  IpcObject.ctime.set(object, ipc_seconds());
  return IpcObject.id.get(object);
}

/** Takes an object out of its table; the last one gives the table's pages back. Under the lock. */
export function ipc_remove(kind: number, object: O): void {
  const table = ipc_table(kind);
  const index = IpcObject.id.get(object) % IPC_INDEX_LIMIT;
  U32[((U32[page_slot(table, index)] as number) >> 2) + (index % IPC_PAGE_ENTRIES)] = 0;
  IpcTable.count.set(table, IpcTable.count.get(table) - 1);
  let highest = IpcTable.highest.get(table);
  while (highest >= 0 && ipc_at(kind, highest) === 0) highest--;
  IpcTable.highest.set(table, highest);
  if (highest >= 0) return;
  for (let i = 0; i < IPC_PAGES; i++) {
    const slot = (IpcTable.pages.at(table) >> 2) + i;
    if (U32[slot] !== 0) heap_page_free(U32[slot] as number);
    U32[slot] = 0;
  }
}

/** Whether the current task has the rights `wanted` (any of the three octal digits) to an object; 0 or -EACCES. */
export function ipc_permission(object: O, wanted: number): number {
  const credentials = Task.credentials.get(current);
  const euid = Credentials.euid.get(credentials);
  const requested = ((wanted >> 6) | (wanted >> 3) | wanted) & 7;
  let granted = IpcObject.mode.get(object);
  if (euid === IpcObject.cuid.get(object) || euid === IpcObject.uid.get(object)) granted >>= 6;
  else if (in_group(credentials, IpcObject.cgid.get(object)) || in_group(credentials, IpcObject.gid.get(object)))
    granted >>= 3;
  return (requested & ~granted) === 0 || capable(CAP_IPC_OWNER) ? 0 : -EACCES;
}

/** Whether the current task may change or remove an object, as the host may: 0 or -EPERM. */
export function ipc_ownership(object: O): number {
  if (current === 0) return 0;
  const euid = Credentials.euid.get(Task.credentials.get(current));
  const owner = euid === IpcObject.cuid.get(object) || euid === IpcObject.uid.get(object);
  return owner || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

/**
 * The rules of shmget, semget and msgget: finds or makes. `make` answers an identifier or -errno; `check` looks at an
 * object found (its size). Takes the lock.
 */
export function ipc_get(
  kind: number,
  key: number,
  flags: number,
  make: () => number,
  check: (object: O) => number,
): number {
  lock_ipc();
  const found = key === IPC_PRIVATE ? (0 as O) : find_key(kind, key);
  let result: number;
  if (found === 0) result = key === IPC_PRIVATE || (flags & IPC_CREAT) !== 0 ? make() : -ENOENT;
  else if ((flags & (IPC_CREAT | IPC_EXCL)) === (IPC_CREAT | IPC_EXCL)) result = -EEXIST;
  else result = check(found) || ipc_permission(found, flags) || IpcObject.id.get(found);
  unlock_ipc();
  return result;
}

/** The object with this identifier for an operation that needs the rights `wanted`; -EINVAL, -EACCES. Under the lock. */
export function ipc_use(kind: number, id: number, wanted: number): number {
  const object = ipc_find(kind, id);
  return object === 0 ? -EINVAL : ipc_permission(object, wanted) || object;
}

/** The object with this identifier for IPC_SET, IPC_RMID: -EINVAL, -EPERM. Under the lock. */
export function ipc_own(kind: number, id: number): number {
  const object = ipc_find(kind, id);
  return object === 0 ? -EINVAL : ipc_ownership(object) || object;
}

/** Stages struct ipc64_perm, 48 bytes, of which the last 16 are zero already. Under the lock. */
export function stage_ipc_perm(object: O): void {
  const words = [IpcObject.key, IpcObject.uid, IpcObject.gid, IpcObject.cuid, IpcObject.cgid, IpcObject.mode];
  for (const [i, field] of words.entries()) stage_set_u32(i * 4, field.get(object));
  stage_set_u32(24, Math.floor(IpcObject.id.get(object) / IPC_INDEX_LIMIT));
}

/** IPC_SET's owner and mode: 0 or -EINVAL for an id of -1. Under the lock. */
export function ipc_set_perm(object: O, uid: number, gid: number, mode: number): number {
  if (uid === 0xffff_ffff || gid === 0xffff_ffff) return -EINVAL;
  IpcObject.uid.set(object, uid);
  IpcObject.gid.set(object, gid);
  IpcObject.mode.set(object, (IpcObject.mode.get(object) & ~0o777) | (mode & 0o777));
  IpcObject.ctime.set(object, ipc_seconds());
  return 0;
}
