/** Addresses of sockets: from the guest, to the guest, and the socket that one names. */
import { EADDRINUSE, ECONNREFUSED, EEXIST, EFAULT, EINVAL, ENOMEM } from '../abi/errno.ts';
import { AT_FDCWD } from '../abi/fcntl.ts';
import { AF_UNIX, SOCKADDR_STORAGE_SIZE, SOCKADDR_UN_SIZE, UNIX_PATH_MAX } from '../abi/socket.ts';
import { S_IFMT, S_IFSOCK } from '../abi/stat.ts';
import { register_transient } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_copy, bytes_length, bytes_write } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U8, U16 } from '../heap/memory.ts';
import { KEPT_NAME, keep_bytes, kept_piece, recall_bytes } from '../kernel/call_arguments.ts';
import { stage, stage_out, stage_set_u32 } from '../kernel/stage.ts';
import { copy_in, copy_out, get_user_i32, put_user_u32 } from '../mm/uaccess.ts';
import { SocketAddress } from '../socket/socket.layout.ts';
import { find_abstract, find_bound, may_bind, next_autobind, socket_bind } from '../socket/unix.ts';
import { vfs_mknod_keep } from '../vfs/namei.ts';
import { LOOKUP_FOLLOW, path_walk } from '../vfs/path.ts';
import { PathRef } from '../vfs/path_ref.ts';
import { MAY_WRITE, path_permission } from '../vfs/permission.ts';
import { Dentry, Inode } from '../vfs/vfs.layout.ts';
import { begin_path, context, current_umask } from './file_paths.ts';

const place = new PathRef();

/** The address of the call in progress: a heap page with the sockaddr, its length, and that of the path in it. */
export const taken = { page: 0, length: 0, family: 0, path_length: 0 };

register_transient(() => {
  taken.page = 0;
});

/**
 * Copies an address, from the guest at the call's first entry, into a heap page, which `drop_address` frees: 0, -EINVAL
 * for an impossible length, -EFAULT, -ENOMEM. A path's NUL ends it.
 */
export function take_address(address: number, length: number): number {
  if (length < 0 || length > SOCKADDR_STORAGE_SIZE) return -EINVAL;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  if (recall_bytes(KEPT_NAME, U8, page) < 0 && copy_in(page, address, length) < 0) {
    heap_page_free(page);
    return -EFAULT;
  }
  U8[page + length] = 0;
  taken.page = page;
  taken.length = length;
  taken.family = length < 2 ? -1 : (U16[page >> 1] as number);
  taken.path_length = Math.max(0, length - 2);
  const named = length > 2 && U8[page + 2] !== 0;
  if (named) taken.path_length = bytes_length(page + 2, UNIX_PATH_MAX) + 1;
  return 0;
}

/** Frees what `take_address` took, if anything. */
export function drop_address(): void {
  if (taken.page !== 0) heap_page_free(taken.page);
  taken.page = 0;
}

/** Before a wait: keeps the address taken, if any. False when the heap is exhausted. */
export function keep_address(): boolean {
  return taken.page === 0 || kept_piece(KEPT_NAME) !== 0 || keep_bytes(KEPT_NAME, U8, taken.page, taken.length);
}

/** Whether the address taken can name a local socket: 0 or -EINVAL. */
function check_unix(): number {
  return taken.family !== AF_UNIX || taken.length <= 2 || taken.length > SOCKADDR_UN_SIZE ? -EINVAL : 0;
}

function is_abstract(): boolean {
  return U8[taken.page + 2] === 0;
}

/** bind(2) with the address taken: 0 or -errno. */
export function bind_taken(socket: Ptr<'UnixSocket'>): number {
  if (taken.family === AF_UNIX && taken.length === 2) return autobind(socket);
  const checked = check_unix();
  if (checked < 0) return checked;
  const path = taken.page + 2;
  if (is_abstract()) return socket_bind(socket, path, taken.path_length, 0 as Ptr<'Inode'>);
  const begun = begin_path(AT_FDCWD, path);
  if (begun < 0) return begun;
  if (may_bind(socket) < 0) return refuse_second_name(path);
  const made = vfs_mknod_keep(context, path, S_IFSOCK | (0o777 & ~current_umask()), place);
  if (made < 0) return made === -EEXIST ? -EADDRINUSE : made;
  const result = socket_bind(socket, path, taken.path_length, Dentry.inode.get(place.dentry));
  place.put();
  return result;
}

/** A socket that has a name learns first that another name is in use. */
function refuse_second_name(path: number): number {
  if (path_walk(context, path, 0, place) < 0) return -EINVAL;
  place.put();
  return -EADDRINUSE;
}

/** A free abstract name of five hexadecimal digits (unix(7), autobind). */
function autobind(socket: Ptr<'UnixSocket'>): number {
  if (may_bind(socket) < 0) return 0;
  for (let tries = 0; tries < 0x10_0000; tries++) {
    const path = taken.page + 2;
    U8[path] = 0;
    bytes_write(path + 1, next_autobind().toString(16).padStart(5, '0'));
    const result = socket_bind(socket, path, 6, 0 as Ptr<'Inode'>);
    if (result !== -EADDRINUSE) return result;
  }
  return -EADDRINUSE;
}

/** The socket that the address taken names for one of `type`, with a hold for the caller (`socket_forget`), or -errno. */
export function find_taken(type: number): number {
  const checked = check_unix();
  if (checked < 0) return checked;
  const path = taken.page + 2;
  if (is_abstract()) return find_abstract(type, path, taken.path_length) || -ECONNREFUSED;
  let result = begin_path(AT_FDCWD, path);
  if (result === 0) result = path_walk(context, path, LOOKUP_FOLLOW, place);
  if (result < 0) return result;
  const inode = Dentry.inode.get(place.dentry);
  result = path_permission(place.mount, inode, MAY_WRITE, context.credentials);
  if (result === 0 && (Inode.mode.get(inode) & S_IFMT) !== S_IFSOCK) result = -ECONNREFUSED;
  if (result === 0) result = find_bound(inode) || -ECONNREFUSED;
  place.put();
  return result;
}

/** Builds a sockaddr_un in the stage: its length. An address of 0 is a socket without a name. */
export function stage_address(address: Ptr<'SocketAddress'>): number {
  stage_set_u32(0, AF_UNIX);
  if (address === 0) return 2;
  const length = SocketAddress.length.get(address);
  bytes_copy(stage() + 2, SocketAddress.path.at(address), length - 2);
  return length;
}

/**
 * Gives the guest an address: as much as fits into the room that the int at `length_at` tells, and its whole length
 * there. 0, -EFAULT, -EINVAL for a negative room.
 */
export function put_address(address: Ptr<'SocketAddress'>, at: number, length_at: number): number {
  const room = get_user_i32(length_at);
  if (!(room >= -0x8000_0000 && room <= 0x7fff_ffff)) return -EFAULT;
  if (room < 0) return -EINVAL;
  const length = stage_address(address);
  // The length is told first, also where the name cannot be (since 6.16).
  if (put_user_u32(length_at, length) < 0) return -EFAULT;
  return room > 0 && stage_out(at, Math.min(room, length)) < 0 ? -EFAULT : 0;
}

/** The same where the room is a number (msg_namelen): the whole length, or -EFAULT. A sender without a name has none. */
export function put_sender(address: Ptr<'SocketAddress'>, at: number, room: number): number {
  if (address === 0) return 0;
  const length = stage_address(address);
  return copy_out(at, stage(), Math.min(room, length)) < 0 ? -EFAULT : length;
}
