/** System V message queues: msgget(2), msgop(2), msgctl(2). */
import { CAP_SYS_RESOURCE } from '../abi/capability.ts';
import { EAGAIN, EFAULT, EIDRM, EINVAL, ENOMEM, ENOMSG, EPERM, ERESTARTNOHAND, ERESTARTSYS } from '../abi/errno.ts';
import {
  IPC_INFO,
  IPC_NOWAIT,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  MSG_COPY,
  MSG_EXCEPT,
  MSG_INFO,
  MSG_STAT,
  MSG_STAT_ANY,
  MSGMAX,
  MSGMNB,
} from '../abi/ipc.ts';
import type { Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { arg_i32, arg_i64, arg_u64 } from '../kernel/args.ts';
import { wait_on } from '../kernel/block.ts';
import { KEPT_MESSAGE, keep_at, kept_at, register_kept_release } from '../kernel/call_arguments.ts';
import { capable } from '../kernel/credentials.ts';
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
  ipc_wake,
  lock_ipc,
  stage_ipc_perm,
  unlock_ipc,
} from '../kernel/ipc/ids.ts';
import { IPC_MSG, IpcObject, IpcRoot, IpcTable, Message, MsgQueue } from '../kernel/ipc/ipc.layout.ts';
import {
  message_create,
  message_free,
  message_read,
  msg_append,
  msg_destroy,
  msg_fits,
  msg_make,
  msg_take,
} from '../kernel/ipc/msg.ts';
import {
  stage_clear,
  stage_i64,
  stage_in,
  stage_out,
  stage_set_parts,
  stage_set_u32,
  stage_set_u64,
  stage_u32,
  stage_u64,
} from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { full, type SyscallRow } from './row.ts';

type Q = Ptr<'MsgQueue'>;
type M = Ptr<'Message'>;
const POLLIN = 1;

function sys_msgget(): number {
  const key = arg_i32(0);
  const flags = arg_i32(1);
  return ipc_get(
    IPC_MSG,
    key,
    flags,
    () => msg_make(key, flags),
    () => 0,
  );
}

/** The queue for an entry of msgsnd or msgrcv: EIDRM when it went while the caller waited. Under the lock. */
function queue_for(id: number, wanted: number): number {
  const found = ipc_find(IPC_MSG, id);
  if (found === 0) return Task.syscall_phase.get(current) === 1 ? -EIDRM : -EINVAL;
  return ipc_permission(found, wanted) || found;
}

/** Waits for any change of the queue; a signal ends the call unless it runs no handler (msgop(2)). */
function wait_for_queue(id: number): number {
  Task.syscall_phase.set(current, 1);
  const waiting = wait_on(ipc_queue(id), POLLIN);
  return waiting === -ERESTARTSYS ? -ERESTARTNOHAND : waiting;
}

/** The message to send, from struct msgbuf (the type, a positive long, then the text) at the call's first entry; -errno. */
function message_to_send(id: number, length: number): number {
  const kept = Task.kept_arguments.get(current) === 0 ? 0 : kept_at(KEPT_MESSAGE);
  if (kept !== 0) return U32[kept >> 2] as number;
  if (stage_in(arg_u64(1), 8) < 0) return -EFAULT;
  if (id < 0 || length < 0 || length > MSGMAX || stage_i64(0) < 1) return -EINVAL;
  return message_create(stage_u32(0), stage_u32(4), arg_u64(1) + 8, length);
}

/** Before a wait: keeps the message (0: gives it up). False when the heap is exhausted. */
function keep_message(message: number): boolean {
  const kept = kept_at(KEPT_MESSAGE) || (message === 0 ? 0 : keep_at(KEPT_MESSAGE, 4));
  if (kept !== 0) U32[kept >> 2] = message;
  return kept !== 0;
}

register_kept_release(KEPT_MESSAGE, (data) => {
  const message = U32[data >> 2] as M;
  if (message !== 0) message_free(message);
});

function sys_msgsnd(): number {
  const id = arg_i32(0);
  const length = arg_i64(2);
  const message = message_to_send(id, length);
  if (message < 0) return message;
  lock_ipc();
  const found = queue_for(id, 0o222);
  const fits = found >= 0 && msg_fits(found as Q, length);
  if (fits) msg_append(found as Q, message as M);
  unlock_ipc();
  if (fits) {
    keep_message(0);
    ipc_wake(id);
    return 0;
  }
  const waits = found >= 0 && (arg_i32(3) & IPC_NOWAIT) === 0;
  if (waits && keep_message(message)) return wait_for_queue(id);
  keep_message(0);
  message_free(message as M);
  return waits ? -ENOMEM : found < 0 ? found : -EAGAIN;
}

function sys_msgrcv(): number {
  const id = arg_i32(0);
  const length = arg_i64(2);
  const flags = arg_i32(4);
  if (id < 0 || length < 0) return -EINVAL;
  const copy = (flags & MSG_COPY) !== 0;
  if (copy && ((flags & MSG_EXCEPT) !== 0 || (flags & IPC_NOWAIT) === 0)) return -EINVAL;
  lock_ipc();
  const found = queue_for(id, 0o444);
  const taken = found < 0 ? found : msg_take(found as Q, arg_i64(3), length, flags);
  unlock_ipc();
  if (taken === -ENOMSG && (flags & IPC_NOWAIT) === 0) return wait_for_queue(id);
  if (taken < 0) return taken;
  const message = taken as M;
  if (!copy) ipc_wake(id);
  stage_set_parts(0, Message.type.lo(message), Message.type.hi(message));
  const read = stage_out(arg_u64(1), 8) < 0 ? -EFAULT : message_read(message, arg_u64(1) + 8, length);
  message_free(message);
  return read;
}

function highest_index(): number {
  return Math.max(0, IpcTable.highest.get(ipc_table(IPC_MSG)));
}

/** struct msginfo, 32 bytes: msgpool msgmap msgmax msgmnb msgmni msgssz msgtql, u16 msgseg. */
function msg_info(command: number): number {
  const root = ipc_root();
  const usage = command === MSG_INFO;
  const pool = usage
    ? IpcTable.count.get(ipc_table(IPC_MSG))
    : (IpcTable.limit.get(ipc_table(IPC_MSG)) * MSGMNB) / 1024;
  const headers = usage ? IpcRoot.messages.get(root) : MSGMNB;
  const bytes = usage ? IpcRoot.message_bytes.get(root) : MSGMNB;
  stage_clear(32);
  for (const [i, value] of [
    pool,
    headers,
    MSGMAX,
    MSGMNB,
    IpcTable.limit.get(ipc_table(IPC_MSG)),
    16,
    bytes,
    0xffff,
  ].entries())
    stage_set_u32(i * 4, value);
  return stage_out(arg_u64(2), 32) < 0 ? -EFAULT : highest_index();
}

/** struct msqid64_ds, 120 bytes: perm 48, stime, rtime, ctime, cbytes, qnum, qbytes, lspid, lrpid. */
function msg_status(id: number, command: number): number {
  lock_ipc();
  const object = command === IPC_STAT ? ipc_find(IPC_MSG, id) : ipc_at(IPC_MSG, id);
  let result = object === 0 ? -EINVAL : command === MSG_STAT_ANY ? 0 : ipc_permission(object, 0o444);
  if (result === 0) {
    const queue = object as unknown as Q;
    stage_clear(120);
    stage_ipc_perm(object);
    stage_set_u64(48, MsgQueue.stime.get(queue));
    stage_set_u64(56, MsgQueue.rtime.get(queue));
    stage_set_u64(64, IpcObject.ctime.get(object));
    stage_set_u64(72, MsgQueue.bytes.get(queue));
    stage_set_u64(80, MsgQueue.count.get(queue));
    stage_set_u64(88, MsgQueue.capacity.get(queue));
    stage_set_u32(96, MsgQueue.last_sender.get(queue));
    stage_set_u32(100, MsgQueue.last_receiver.get(queue));
    if (command !== IPC_STAT) result = IpcObject.id.get(object);
  }
  unlock_ipc();
  return result >= 0 && stage_out(arg_u64(2), 120) < 0 ? -EFAULT : result;
}

/** IPC_SET: owner, mode and capacity; more than MSGMNB needs CAP_SYS_RESOURCE. */
function msg_set(id: number): number {
  if (stage_in(arg_u64(2), 120) < 0) return -EFAULT;
  const capacity = stage_u64(88);
  lock_ipc();
  const found = ipc_own(IPC_MSG, id);
  let result = found;
  if (found >= 0 && capacity > MSGMNB && !capable(CAP_SYS_RESOURCE)) result = -EPERM;
  if (result >= 0) result = ipc_set_perm(found as Ptr<'IpcObject'>, stage_u32(4), stage_u32(8), stage_u32(20));
  if (result === 0) MsgQueue.capacity.set(found as Q, capacity);
  unlock_ipc();
  if (result === 0) ipc_wake(id);
  return result;
}

function sys_msgctl(): number {
  const id = arg_i32(0);
  const command = arg_i32(1);
  if (id < 0 || command < 0) return -EINVAL;
  switch (command) {
    case IPC_INFO:
    case MSG_INFO:
      return msg_info(command);
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
      return msg_status(id, command);
    case IPC_SET:
      return msg_set(id);
    case IPC_RMID:
      return msg_destroy(id);
    default:
      return -EINVAL;
  }
}

export const MSG_ROWS: readonly SyscallRow[] = [
  full(68, 'msgget', sys_msgget, 'key:int', 'msgflg:int'),
  full(69, 'msgsnd', sys_msgsnd, 'msqid:int', 'msgp:ptr', 'msgsz:size', 'msgflg:int'),
  full(70, 'msgrcv', sys_msgrcv, 'msqid:int', 'msgp:ptr', 'msgsz:size', 'msgtyp:long', 'msgflg:int'),
  full(71, 'msgctl', sys_msgctl, 'msqid:int', 'cmd:int', 'buf:ptr'),
];
