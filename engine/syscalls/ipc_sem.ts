/** System V semaphores: semget(2), semop(2), semctl(2). */
import { E2BIG, EAGAIN, EFAULT, EFBIG, EIDRM, EINTR, EINVAL, ENOMEM, ERANGE, ERESTARTSYS } from '../abi/errno.ts';
import {
  GETALL,
  GETNCNT,
  GETPID,
  GETVAL,
  GETZCNT,
  IPC_INFO,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  SEM_INFO,
  SEM_STAT,
  SEM_STAT_ANY,
  SEMMNS,
  SEMMSL,
  SEMOPM,
  SEMVMX,
  SETALL,
  SETVAL,
} from '../abi/ipc.ts';
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U8, U16 } from '../heap/memory.ts';
import { arg_i32, arg_u64 } from '../kernel/args.ts';
import { deadline_passed, set_timeout, wait_on } from '../kernel/block.ts';
import { KEPT_OPERATIONS, keep_bytes, kept_piece, recall_bytes } from '../kernel/call_arguments.ts';
import { current } from '../kernel/current.ts';
import {
  ipc_at,
  ipc_find,
  ipc_get,
  ipc_own,
  ipc_permission,
  ipc_queue,
  ipc_root,
  ipc_set_perm,
  ipc_table,
  ipc_use,
  ipc_wake,
  lock_ipc,
  stage_ipc_perm,
  unlock_ipc,
} from '../kernel/ipc/ids.ts';
import { IPC_SEM, IpcObject, IpcRoot, IpcTable, Semaphore, SemSet } from '../kernel/ipc/ipc.layout.ts';
import {
  op_amount,
  op_number,
  SEMBUF_BYTES,
  sem_destroy,
  sem_make,
  sem_set_value,
  sem_stop,
  sem_try,
  semaphore_at,
} from '../kernel/ipc/sem.ts';
import {
  stage_clear,
  stage_in,
  stage_out,
  stage_set_u32,
  stage_set_u64,
  stage_timespec,
  stage_u32,
} from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { copy_in, copy_out } from '../mm/uaccess.ts';
import { full, partial, type SyscallRow } from './row.ts';

type S = Ptr<'SemSet'>;
const POLLIN = 1;

function sys_semget(): number {
  const key = arg_i32(0);
  const count = arg_i32(1);
  const flags = arg_i32(2);
  if (count < 0 || count > SEMMSL) return -EINVAL;
  return ipc_get(
    IPC_SEM,
    key,
    flags,
    () => sem_make(key, count, flags),
    (found) => (count > SemSet.count.get(found as unknown as S) ? -EINVAL : 0),
  );
}

/** Counts the current task into (1) or out of (-1) the waiters of the semaphore in Task.syscall_aux. Under the lock. */
function count_waiter(set: S, change: number): void {
  const aux = Task.syscall_aux.get(current);
  const field = (aux & 1) !== 0 ? Semaphore.waiting_zero : Semaphore.waiting_rise;
  const semaphore = semaphore_at(set, aux >>> 1);
  field.set(semaphore, field.get(semaphore) + change);
}

/** Tries the operations at machine address `ops` under the lock: 0, 1 to wait, -errno. */
function try_operations(id: number, ops: number, count: number): number {
  const waited = Task.syscall_phase.get(current) === 1;
  const found = ipc_find(IPC_SEM, id);
  if (found === 0) return waited ? -EIDRM : -EINVAL;
  const set = found as unknown as S;
  if (waited) count_waiter(set, -1);
  Task.syscall_phase.set(current, 0);
  let highest = 0;
  let alters = false;
  for (let i = 0; i < count; i++) {
    highest = Math.max(highest, op_number(ops, i));
    alters ||= op_amount(ops, i) !== 0;
  }
  if (highest >= SemSet.count.get(set)) return -EFBIG;
  const refused = ipc_permission(found, alters ? 0o222 : 0o444);
  const result = refused !== 0 ? refused : sem_try(set, ops, count);
  if (result !== 1) return result;
  Task.syscall_aux.set(current, sem_stop.number * 2 + (sem_stop.zero ? 1 : 0));
  Task.syscall_phase.set(current, 1);
  count_waiter(set, 1);
  return 1;
}

/** Counts the task out again when its wait ends without success. */
function give_up(id: number, error: number): number {
  lock_ipc();
  const set = ipc_find(IPC_SEM, id);
  if (set !== 0) count_waiter(set as unknown as S, -1);
  unlock_ipc();
  Task.syscall_phase.set(current, 0);
  return error;
}

/** semop(2). A signal ends it with EINTR, always. */
function semop(timeout_at: number): number {
  const id = arg_i32(0);
  const count = arg_u64(2);
  if (count < 1 || id < 0) return -EINVAL;
  if (count > SEMOPM) return -E2BIG;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const bytes = count * SEMBUF_BYTES;
  let result = recall_bytes(KEPT_OPERATIONS, U8, page) < 0 && copy_in(page, arg_u64(1), bytes) < 0 ? -EFAULT : 0;
  if (result === 0 && timeout_at !== 0 && Task.syscall_entries.get(current) === 0) {
    const ns = stage_in(timeout_at, 16) < 0 ? -2 : stage_timespec(0);
    if (ns < 0) result = ns === -2 ? -EFAULT : -EINVAL;
    else set_timeout(ns);
  }
  if (result === 0) {
    lock_ipc();
    result = try_operations(id, page, count);
    unlock_ipc();
  }
  const kept = result !== 1 || kept_piece(KEPT_OPERATIONS) !== 0 || keep_bytes(KEPT_OPERATIONS, U8, page, bytes);
  heap_page_free(page);
  if (!kept) return give_up(id, -ENOMEM);
  if (result !== 1) {
    if (result === 0) ipc_wake(id);
    return result;
  }
  if (deadline_passed()) return give_up(id, -EAGAIN);
  const waiting = wait_on(ipc_queue(id), POLLIN);
  return waiting === -ERESTARTSYS ? give_up(id, -EINTR) : waiting === -ENOMEM ? give_up(id, waiting) : waiting;
}

function highest_index(): number {
  return Math.max(0, IpcTable.highest.get(ipc_table(IPC_SEM)));
}

/** struct seminfo, ten ints: semmap semmni semmns semmnu semmsl semopm semume semusz semvmx semaem. */
function sem_info(command: number): number {
  const usage = command === SEM_INFO;
  const used = usage ? IpcTable.count.get(ipc_table(IPC_SEM)) : 20;
  const semaphores = usage ? IpcRoot.semaphores.get(ipc_root()) : SEMVMX;
  const values = [
    SEMMNS,
    IpcTable.limit.get(ipc_table(IPC_SEM)),
    SEMMNS,
    SEMMNS,
    SEMMSL,
    SEMOPM,
    SEMOPM,
    used,
    SEMVMX,
    semaphores,
  ];
  for (const [i, value] of values.entries()) stage_set_u32(i * 4, value);
  return stage_out(arg_u64(3), 40) < 0 ? -EFAULT : highest_index();
}

/** struct semid64_ds, 104 bytes: perm 48, otime, ctime at 64, nsems at 80. */
function sem_status(id: number, command: number): number {
  lock_ipc();
  const object = command === IPC_STAT ? ipc_find(IPC_SEM, id) : ipc_at(IPC_SEM, id);
  let result = object === 0 ? -EINVAL : command === SEM_STAT_ANY ? 0 : ipc_permission(object, 0o444);
  if (result === 0) {
    const set = object as unknown as S;
    stage_clear(104);
    stage_ipc_perm(object);
    stage_set_u64(48, SemSet.otime.get(set));
    stage_set_u64(64, IpcObject.ctime.get(object));
    stage_set_u64(80, SemSet.count.get(set));
    if (command !== IPC_STAT) result = IpcObject.id.get(object);
  }
  unlock_ipc();
  return result >= 0 && stage_out(arg_u64(3), 104) < 0 ? -EFAULT : result;
}

function sem_set(id: number): number {
  if (stage_in(arg_u64(3), 48) < 0) return -EFAULT;
  lock_ipc();
  const found = ipc_own(IPC_SEM, id);
  const result = found < 0 ? found : ipc_set_perm(found as Ptr<'IpcObject'>, stage_u32(4), stage_u32(8), stage_u32(20));
  unlock_ipc();
  return result;
}

/** GETVAL, GETPID, GETNCNT, GETZCNT and SETVAL: one semaphore. */
function one_semaphore(id: number, number: number, command: number): number {
  const value = arg_i32(3);
  if (command === SETVAL && (value < 0 || value > SEMVMX)) return -ERANGE;
  lock_ipc();
  const found = ipc_use(IPC_SEM, id, command === SETVAL ? 0o222 : 0o444);
  let result = found;
  if (found >= 0) {
    const set = found as S;
    if (number < 0 || number >= SemSet.count.get(set)) result = -EINVAL;
    else if (command === SETVAL) {
      sem_set_value(set, number, value);
      result = 0;
    } else result = read_semaphore(semaphore_at(set, number), command);
  }
  unlock_ipc();
  if (command === SETVAL && result === 0) ipc_wake(id);
  return result;
}

function read_semaphore(semaphore: Ptr<'Semaphore'>, command: number): number {
  if (command === GETVAL) return Semaphore.value.get(semaphore);
  if (command === GETPID) return Semaphore.pid.get(semaphore);
  return (command === GETNCNT ? Semaphore.waiting_rise : Semaphore.waiting_zero).get(semaphore);
}

/** Semaphores whose values fit a page, as the kernel passes them: u16 each. */
const VALUES_PER_PAGE = 2048;

/** Checks a set for GETALL and SETALL: its number of semaphores, or -errno. */
function count_semaphores(id: number, wanted: number): number {
  lock_ipc();
  const found = ipc_use(IPC_SEM, id, wanted);
  const count = found < 0 ? found : SemSet.count.get(found as S);
  unlock_ipc();
  return count;
}

/** One page of GETALL or SETALL's values, from semaphore `first` on: 0 or -errno. */
function pass_values(id: number, page: number, first: number, count: number, set_them: boolean): number {
  lock_ipc();
  const found = ipc_find(IPC_SEM, id);
  for (let i = 0; i < count && found !== 0; i++) {
    if (set_them) sem_set_value(found as unknown as S, first + i, U16[(page >> 1) + i] as number);
    else U16[(page >> 1) + i] = Semaphore.value.get(semaphore_at(found as unknown as S, first + i));
  }
  unlock_ipc();
  return found === 0 ? -EIDRM : 0;
}

function all_values(id: number, command: number): number {
  const set_them = command === SETALL;
  const total = count_semaphores(id, set_them ? 0o222 : 0o444);
  if (total < 0) return total;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  let result = 0;
  // SETALL looks at all values before it sets the first.
  for (const pass of set_them ? ['check', 'set'] : ['get'])
    for (let first = 0; first < total && result === 0; first += VALUES_PER_PAGE) {
      const count = Math.min(VALUES_PER_PAGE, total - first);
      const at = arg_u64(3) + first * 2;
      if (set_them && copy_in(page, at, count * 2) < 0) result = -EFAULT;
      for (let i = 0; set_them && i < count && result === 0; i++)
        if ((U16[(page >> 1) + i] as number) > SEMVMX) result = -ERANGE;
      if (result === 0 && pass !== 'check') result = pass_values(id, page, first, count, set_them);
      if (result === 0 && !set_them && copy_out(at, page, count * 2) < 0) result = -EFAULT;
    }
  heap_page_free(page);
  if (set_them) ipc_wake(id);
  return result;
}

function sys_semctl(): number {
  const id = arg_i32(0);
  const command = arg_i32(2);
  if (id < 0) return -EINVAL;
  switch (command) {
    case IPC_INFO:
    case SEM_INFO:
      return sem_info(command);
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
      return sem_status(id, command);
    case IPC_SET:
      return sem_set(id);
    case IPC_RMID:
      return sem_destroy(id);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETVAL:
      return one_semaphore(id, arg_i32(1), command);
    case GETALL:
    case SETALL:
      return all_values(id, command);
    default:
      return -EINVAL;
  }
}

const UNDO_NOTE = 'SEM_UNDO amounts belong to the process; CLONE_SYSVSEM between processes shares none';

export const SEM_ROWS: readonly SyscallRow[] = [
  full(64, 'semget', sys_semget, 'key:int', 'nsems:int', 'semflg:int'),
  partial(65, 'semop', UNDO_NOTE, () => semop(0), 'semid:int', 'sops:ptr', 'nsops:size'),
  full(66, 'semctl', sys_semctl, 'semid:int', 'semnum:int', 'cmd:int', 'arg:ulong'),
  partial(220, 'semtimedop', UNDO_NOTE, () => semop(arg_u64(3)), 'semid:int', 'sops:ptr', 'nsops:size', 'timeout:ptr'),
];
