/**
 * Ancillary data of messages (cmsg(3)): descriptors and credentials, from the guest into `outgoing`, and from
 * `incoming` to the guest.
 */
import { EBADF, EFAULT, EINVAL, ENOBUFS, ENOMEM, EPERM } from '../abi/errno.ts';
import { O_CLOEXEC } from '../abi/fcntl.ts';
import { MSG_CMSG_CLOEXEC, MSG_CTRUNC, SCM_CREDENTIALS, SCM_MAX_FD, SCM_RIGHTS, SOL_SOCKET } from '../abi/socket.ts';
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { I32, U32 } from '../heap/memory.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { capable } from '../kernel/credentials.ts';
import { current } from '../kernel/current.ts';
import { fd_file, fd_install } from '../kernel/fd_table.ts';
import { stage_out, stage_set_u32, stage_set_u64 } from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { copy_in, put_user_u32 } from '../mm/uaccess.ts';
import { put_files } from '../socket/message.ts';
import { incoming, outgoing } from '../socket/unix_io.ts';
import { file_get, file_put } from '../vfs/file.ts';

const HEADER = 16;
/** Most control data taken at once. */
const LIMIT = 4096;
const CAP_SETGID = 6;
const CAP_SETUID = 7;
const CAP_SYS_ADMIN = 21;

/** Drops the descriptors of a message that was not sent. */
export function drop_outgoing(): void {
  const { files, file_count } = outgoing;
  outgoing.files = 0;
  outgoing.file_count = 0;
  if (files !== 0) put_files(files, file_count);
}

/** Reads control data into `outgoing`: 0 or -errno, with nothing held then. */
export function take_control(address: number, length: number): number {
  if (length === 0) return 0;
  if (length > LIMIT) return -ENOBUFS;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  let result = copy_in(page, address, length) < 0 ? -EFAULT : 0;
  for (let at = 0; result === 0 && length - at >= HEADER; ) {
    const word = (page + at) >> 2;
    const size = U32[word] as number;
    if ((U32[word + 1] as number) !== 0 || size < HEADER || size > length - at) result = -EINVAL;
    else if (U32[word + 2] === SOL_SOCKET)
      result = take_item(U32[word + 3] as number, page + at + HEADER, size - HEADER);
    at += Math.ceil(size / 8) * 8;
  }
  heap_page_free(page);
  if (result < 0) drop_outgoing();
  return result;
}

function take_item(type: number, data: number, length: number): number {
  if (type === SCM_RIGHTS) return take_rights(data, Math.floor(length / 4));
  return type === SCM_CREDENTIALS && length === 12 ? take_credentials(data) : -EINVAL;
}

function take_rights(data: number, count: number): number {
  if (count > SCM_MAX_FD || outgoing.file_count + count > SCM_MAX_FD) return -EINVAL;
  if (count === 0) return 0;
  if (outgoing.files === 0) outgoing.files = heap_page_alloc();
  if (outgoing.files === 0) return -ENOMEM;
  for (let i = 0; i < count; i++) {
    const file = fd_file(I32[(data >> 2) + i] as number);
    if (file === 0) return -EBADF;
    U32[(outgoing.files >> 2) + outgoing.file_count++] = file_get(file);
  }
  return 0;
}

/** Credentials must be the sender's own, unless it may take others. */
function take_credentials(data: number): number {
  const pid = I32[data >> 2] as number;
  const uid = U32[(data >> 2) + 1] as number;
  const gid = U32[(data >> 2) + 2] as number;
  const own = Task.credentials.get(current);
  const { uid: u, euid, suid, gid: g, egid, sgid } = Credentials;
  const own_uid = uid === u.get(own) || uid === euid.get(own) || uid === suid.get(own);
  const own_gid = gid === g.get(own) || gid === egid.get(own) || gid === sgid.get(own);
  const own_pid = pid === ThreadGroup.tgid.get(Task.group.get(current));
  if (!own_pid && !capable(CAP_SYS_ADMIN)) return -EPERM;
  if ((!own_uid && !capable(CAP_SETUID)) || (!own_gid && !capable(CAP_SETGID))) return -EPERM;
  outgoing.pid = pid;
  outgoing.uid = uid;
  outgoing.gid = gid;
  return 0;
}

/** Room for control data in the guest, as it fills. `flags` collects MSG_CTRUNC. */
export const control = { address: 0, left: 0, flags: 0 };

/** Writes one item whose data is `length` bytes in the stage behind the header: false for -EFAULT. */
function put_item(type: number, length: number): boolean {
  if (control.left < HEADER) {
    control.flags |= MSG_CTRUNC;
    return true;
  }
  const size = Math.min(HEADER + length, control.left);
  if (size < HEADER + length) control.flags |= MSG_CTRUNC;
  stage_set_u64(0, size);
  stage_set_u32(8, SOL_SOCKET);
  stage_set_u32(12, type);
  if (stage_out(control.address, size) < 0) return false;
  const space = Math.min(Math.ceil((HEADER + length) / 8) * 8, control.left);
  control.address += space;
  control.left -= space;
  return true;
}

/** Installs as many of the received files as there is room for, and drops the others: false for -EFAULT. */
function put_rights(flags: number): boolean {
  const { files } = incoming;
  incoming.files = [];
  const room = Math.max(0, Math.floor((control.left - HEADER) / 4));
  let installed = 0;
  let faulted = false;
  const table = Task.files.get(current);
  const start = control.address;
  for (; installed < Math.min(room, files.length) && !faulted; installed++) {
    const fd = fd_install(table, files[installed] as Ptr<'File'>, (flags & MSG_CMSG_CLOEXEC) !== 0 ? O_CLOEXEC : 0);
    if (fd < 0) break;
    // The table has it now, whether the guest hears of it or not.
    faulted = put_user_u32(start + HEADER + installed * 4, fd) < 0;
  }
  for (const file of files.slice(installed)) file_put(file);
  if (installed < files.length) control.flags |= MSG_CTRUNC;
  if (installed === 0 || faulted) return !faulted;
  const size = HEADER + installed * 4;
  stage_set_u64(0, size);
  stage_set_u32(8, SOL_SOCKET);
  stage_set_u32(12, SCM_RIGHTS);
  if (stage_out(start, HEADER) < 0) return false;
  const space = Math.min(Math.ceil(size / 8) * 8, control.left);
  control.address += space;
  control.left -= space;
  return true;
}

/** Gives the guest what came with the last message: 0 or -EFAULT. `control` says where; `pass`: SO_PASSCRED. */
export function put_control(pass: boolean, flags: number): number {
  if (pass) {
    stage_set_u32(HEADER, incoming.pid);
    stage_set_u32(HEADER + 4, incoming.uid);
    stage_set_u32(HEADER + 8, incoming.gid);
    if (!put_item(SCM_CREDENTIALS, 12)) return -EFAULT;
  }
  return incoming.files.length > 0 && !put_rights(flags) ? -EFAULT : 0;
}
