/** System V shared memory: shmget(2), shmop(2), shmctl(2). */
import { EFAULT, EINVAL } from '../abi/errno.ts';
import {
  IPC_INFO,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  SHM_INFO,
  SHM_LIMIT,
  SHM_LOCK,
  SHM_STAT,
  SHM_STAT_ANY,
  SHM_UNLOCK,
} from '../abi/ipc.ts';
import type { Ptr } from '../base/types.ts';
import { arg_i32, arg_u64 } from '../kernel/args.ts';
import {
  ipc_at,
  ipc_find,
  ipc_get,
  ipc_own,
  ipc_permission,
  ipc_root,
  ipc_set_perm,
  ipc_table,
  lock_ipc,
  stage_ipc_perm,
  unlock_ipc,
} from '../kernel/ipc/ids.ts';
import { IPC_SHM, IpcObject, IpcRoot, IpcTable, ShmSegment } from '../kernel/ipc/ipc.layout.ts';
import { shm_attach, shm_attachments, shm_destroy, shm_detach, shm_make, shm_set_locked } from '../kernel/ipc/shm.ts';
import {
  stage_clear,
  stage_in,
  stage_out,
  stage_set_parts,
  stage_set_u32,
  stage_set_u64,
  stage_u32,
} from '../kernel/stage.ts';
import { Mapping } from '../vfs/mapping.layout.ts';
import { full, partial, type SyscallRow } from './row.ts';

type S = Ptr<'ShmSegment'>;

function sys_shmget(): number {
  const key = arg_i32(0);
  const size = arg_u64(1);
  const flags = arg_i32(2);
  return ipc_get(
    IPC_SHM,
    key,
    flags,
    () => shm_make(key, size, flags),
    (found) => (size > ShmSegment.size.get(found as unknown as S) ? -EINVAL : 0),
  );
}

function sys_shmat(): number {
  return shm_attach(arg_i32(0), arg_u64(1), arg_i32(2));
}

function sys_shmdt(): number {
  return shm_detach(arg_u64(0));
}

/** Largest index in use, 0 when there is none: what the INFO commands answer. */
function highest_index(): number {
  return Math.max(0, IpcTable.highest.get(ipc_table(IPC_SHM)));
}

function stage_limit(offset: number): void {
  stage_set_parts(offset, Number(SHM_LIMIT & 0xffff_ffffn), Number(SHM_LIMIT >> 32n));
}

/** struct shminfo: shmmax, shmmin, shmmni, shmseg, shmall, four unused. */
function shm_limits(): number {
  stage_clear(72);
  const largest = IpcRoot.shm_max.get(ipc_root());
  if (largest === Number(SHM_LIMIT)) stage_limit(0);
  else stage_set_u64(0, largest);
  stage_set_u64(8, 1);
  stage_set_u64(16, IpcTable.limit.get(ipc_table(IPC_SHM)));
  stage_set_u64(24, IpcTable.limit.get(ipc_table(IPC_SHM)));
  stage_limit(32);
  return stage_out(arg_u64(2), 72) < 0 ? -EFAULT : highest_index();
}

/** struct shm_info: used_ids, shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes. */
function shm_usage(): number {
  stage_clear(48);
  lock_ipc();
  let resident = 0;
  for (let index = highest_index(); index >= 0; index--) {
    const segment = ipc_at(IPC_SHM, index) as unknown as S;
    if (segment !== 0) resident += Mapping.pages.get(ShmSegment.mapping.get(segment));
  }
  stage_set_u32(0, IpcTable.count.get(ipc_table(IPC_SHM)));
  stage_set_u64(8, IpcRoot.shm_pages.get(ipc_root()));
  stage_set_u64(16, resident);
  const result = highest_index();
  unlock_ipc();
  return stage_out(arg_u64(2), 48) < 0 ? -EFAULT : result;
}

/** struct shmid64_ds, 112 bytes: perm 48, segsz, atime, dtime, ctime, cpid, lpid, nattch. Under the lock. */
function stage_segment(segment: S): void {
  stage_clear(112);
  const object = ShmSegment.object.at(segment);
  stage_ipc_perm(object);
  stage_set_u64(48, ShmSegment.size.get(segment));
  stage_set_u64(56, ShmSegment.atime.get(segment));
  stage_set_u64(64, ShmSegment.dtime.get(segment));
  stage_set_u64(72, IpcObject.ctime.get(object));
  stage_set_u32(80, ShmSegment.cpid.get(segment));
  stage_set_u32(84, ShmSegment.lpid.get(segment));
  stage_set_u64(88, shm_attachments(segment));
}

function shm_status(id: number, command: number): number {
  lock_ipc();
  const object = command === IPC_STAT ? ipc_find(IPC_SHM, id) : ipc_at(IPC_SHM, id);
  let result = object === 0 ? -EINVAL : command === SHM_STAT_ANY ? 0 : ipc_permission(object, 0o444);
  if (result === 0) {
    stage_segment(object as unknown as S);
    if (command !== IPC_STAT) result = IpcObject.id.get(object);
  }
  unlock_ipc();
  return result >= 0 && stage_out(arg_u64(2), 112) < 0 ? -EFAULT : result;
}

/** IPC_SET: owner and mode of the struct shmid64_ds. */
function shm_set(id: number): number {
  if (stage_in(arg_u64(2), 48) < 0) return -EFAULT;
  lock_ipc();
  const found = ipc_own(IPC_SHM, id);
  const result = found < 0 ? found : ipc_set_perm(found as Ptr<'IpcObject'>, stage_u32(4), stage_u32(8), stage_u32(20));
  unlock_ipc();
  return result;
}

function shm_lock_command(id: number, locked: boolean): number {
  lock_ipc();
  const object = ipc_find(IPC_SHM, id);
  const result = object === 0 ? -EINVAL : shm_set_locked(object as unknown as S, locked);
  unlock_ipc();
  return result;
}

function sys_shmctl(): number {
  const id = arg_i32(0);
  const command = arg_i32(1);
  if (id < 0 || command < 0) return -EINVAL;
  switch (command) {
    case IPC_INFO:
      return shm_limits();
    case SHM_INFO:
      return shm_usage();
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
      return shm_status(id, command);
    case IPC_SET:
      return shm_set(id);
    case IPC_RMID:
      return shm_destroy(id);
    case SHM_LOCK:
    case SHM_UNLOCK:
      return shm_lock_command(id, command === SHM_LOCK);
    default:
      return -EINVAL;
  }
}

export const SHM_ROWS: readonly SyscallRow[] = [
  partial(29, 'shmget', 'no huge pages', sys_shmget, 'key:int', 'size:size', 'shmflg:int'),
  { ...full(30, 'shmat', sys_shmat, 'shmid:int', 'shmaddr:ptr', 'shmflg:int'), result: 'ptr' },
  full(31, 'shmctl', sys_shmctl, 'shmid:int', 'cmd:int', 'buf:ptr'),
  full(67, 'shmdt', sys_shmdt, 'shmaddr:ptr'),
];
