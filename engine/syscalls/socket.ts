/**
 * Sockets of the local family: socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2), shutdown(2) and the
 * names of both ends. Messages are in socket_message.ts, options in socket_options.ts.
 */
import {
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  EFAULT,
  EINVAL,
  ENOMEM,
  ENOTSOCK,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
} from '../abi/errno.ts';
import { READABLE, WRITABLE } from '../abi/poll.ts';
import {
  AF_UNIX,
  AF_UNSPEC,
  SHUT_RDWR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_TYPE_MASK,
} from '../abi/socket.ts';
import type { Ptr } from '../base/types.ts';
import { arg_i32, arg_u64 } from '../kernel/args.ts';
import { is_waiting } from '../kernel/block.ts';
import { current } from '../kernel/current.ts';
import { fd_fill, fd_opened, fd_reserve, fd_unreserve } from '../kernel/fd_table.ts';
import { stage_out, stage_set_u32 } from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { collect_sockets } from '../socket/collect.ts';
import { socket_root } from '../socket/root.ts';
import { SocketRoot, UnixSocket } from '../socket/socket.layout.ts';
import {
  address_forget,
  datagram_connect,
  known_type,
  named,
  socket_accept,
  socket_connect,
  socket_ends,
  socket_forget,
  socket_listen,
  socket_name,
  socket_of,
  socket_open,
  socket_pair,
  socket_shutdown,
} from '../socket/unix.ts';
import '../socket/unix_io.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_SOCKET, file_put } from '../vfs/file.ts';
import { install_new } from './eventfd.ts';
import { partial, type SyscallRow } from './row.ts';
import {
  bind_taken,
  drop_address,
  find_taken,
  keep_address,
  put_address,
  take_address,
  taken,
} from './socket_address.ts';
import { wait_for_socket } from './socket_wait.ts';
import { is_nonblocking } from './transfer.ts';

/** What every socket call leaves out. */
export const FAMILY_NOTE = 'AF_UNIX is the only address family';
/** net.core.somaxconn. */
const MAX_BACKLOG = 4096;

/** The file of a socket's descriptor, or -EBADF, -ENOTSOCK. */
export function socket_file_of(fd: number): number {
  const file = fd_opened(fd);
  if (file === 0) return -EBADF;
  return File.kind.get(file) === FILE_KIND_SOCKET ? file : -ENOTSOCK;
}

/** What the type of socket(2) may hold. */
const SOCK_FLAGS = SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK;

/** Type and flags of socket(2), checked: the type, or -errno. */
function check_kind(family: number, type_and_flags: number, protocol: number): number {
  if ((type_and_flags & ~SOCK_FLAGS) !== 0) return -EINVAL;
  if (family !== AF_UNIX) return -EAFNOSUPPORT;
  const type = type_and_flags & SOCK_TYPE_MASK;
  if (type > 10) return -EINVAL;
  if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
  // As Linux, believers in BSD get datagrams for SOCK_RAW.
  if (type === SOCK_RAW) return SOCK_DGRAM;
  return known_type(type) ? type : -ESOCKTNOSUPPORT;
}

function sys_socket(): number {
  const type = check_kind(arg_i32(0), arg_i32(1), arg_i32(2));
  return type < 0 ? type : install_new(socket_open(type, arg_i32(1)), arg_i32(1));
}

function tell_pair(a: number, b: number): number {
  stage_set_u32(0, a);
  stage_set_u32(4, b);
  return stage_out(arg_u64(3), 8) < 0 ? -EFAULT : 0;
}

function sys_socketpair(): number {
  const flags = arg_i32(1);
  if ((flags & ~SOCK_FLAGS) !== 0) return -EINVAL;
  const files = Task.files.get(current);
  const a = fd_reserve(files, 0);
  const b = a < 0 ? a : fd_reserve(files, 0);
  // As Linux, the numbers are told before there are sockets, and stay told when there will be none.
  let result = b < 0 ? b : tell_pair(a, b);
  if (result === 0) result = check_kind(arg_i32(0), flags, arg_i32(2));
  if (result >= 0) {
    collect_sockets();
    result = socket_pair(result, flags);
  }
  if (result >= 0) {
    fd_fill(files, a, socket_ends.first, (flags & SOCK_CLOEXEC) !== 0);
    fd_fill(files, b, socket_ends.second, (flags & SOCK_CLOEXEC) !== 0);
    return 0;
  }
  if (a >= 0) fd_unreserve(files, a);
  if (b >= 0) fd_unreserve(files, b);
  return result;
}

function sys_bind(): number {
  const file = socket_file_of(arg_i32(0));
  if (file < 0) return file;
  const got = take_address(arg_u64(1), arg_i32(2));
  if (got < 0) return got;
  const result = bind_taken(socket_of(file as Ptr<'File'>));
  drop_address();
  return result;
}

function sys_listen(): number {
  const file = socket_file_of(arg_i32(0));
  if (file < 0) return file;
  const backlog = arg_i32(1);
  return socket_listen(socket_of(file as Ptr<'File'>), Math.min(backlog < 0 ? MAX_BACKLOG : backlog, MAX_BACKLOG));
}

/** Connects a socket to the address taken: 0, -EAGAIN to wait for room, or -errno. */
function connect_taken(socket: Ptr<'UnixSocket'>): number {
  const datagrams = UnixSocket.type.get(socket) === SOCK_DGRAM;
  if (datagrams && taken.family === AF_UNSPEC) return datagram_connect(socket, 0 as Ptr<'UnixSocket'>);
  const found = find_taken(UnixSocket.type.get(socket));
  if (found < 0) return found;
  const target = found as Ptr<'UnixSocket'>;
  const result = datagrams ? datagram_connect(socket, target) : socket_connect(socket, target);
  socket_forget(target);
  return result;
}

function sys_connect(): number {
  const fd = arg_i32(0);
  const found = socket_file_of(fd);
  if (found === -EBADF) return found;
  const got = take_address(arg_u64(1), arg_i32(2));
  if (found < 0 || got < 0) {
    drop_address();
    return got < 0 ? got : found;
  }
  const file = found as Ptr<'File'>;
  const socket = socket_of(file);
  const result = connect_taken(socket);
  const waits = result === -EAGAIN && !is_nonblocking(file);
  const kept = !waits || keep_address();
  drop_address();
  if (!waits) return result;
  if (!kept) return -ENOMEM;
  const room = SocketRoot.room.at(socket_root());
  return wait_for_socket(fd, file, room, WRITABLE, UnixSocket.send_timeout.get(socket));
}

/** accept4(2). Its descriptor stays reserved, in syscall_aux (plus one), while it waits. */
function accept(flags: number): number {
  const fd = arg_i32(0);
  const found = socket_file_of(fd);
  if (found === -EBADF) return found;
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  if (found < 0) return found;
  const listener = found as Ptr<'File'>;
  const files = Task.files.get(current);
  const reserved = Task.syscall_aux.get(current);
  const at = reserved === 0 ? fd_reserve(files, 0) : reserved - 1;
  if (at < 0) return at;
  const socket = socket_of(listener);
  const accepted = socket_accept(socket, flags);
  if (accepted >= 0) {
    const told = arg_u64(1) === 0 ? 0 : tell_name(socket_of(accepted as Ptr<'File'>), true);
    if (told === 0) {
      fd_fill(files, at, accepted as Ptr<'File'>, (flags & SOCK_CLOEXEC) !== 0);
      return at;
    }
    file_put(accepted as Ptr<'File'>);
    fd_unreserve(files, at);
    return told;
  }
  const waits = accepted === -EAGAIN && !is_nonblocking(listener);
  const queue = UnixSocket.queue.at(socket);
  const timeout = UnixSocket.receive_timeout.get(socket);
  const result = waits ? wait_for_socket(fd, listener, queue, READABLE, timeout, true) : accepted;
  if (is_waiting(result)) Task.syscall_aux.set(current, at + 1);
  else fd_unreserve(files, at);
  return result;
}

function sys_accept(): number {
  return accept(0);
}

function sys_accept4(): number {
  return accept(arg_i32(3));
}

/** Gives the guest a name at arguments 1 and 2: 0 or -errno. */
function tell_name(socket: Ptr<'UnixSocket'>, of_peer: boolean): number {
  const result = socket_name(socket, of_peer);
  if (result < 0) return result;
  const { address } = named;
  const put = put_address(address, arg_u64(1), arg_u64(2));
  address_forget(address);
  return put;
}

function tell_own(of_peer: boolean): number {
  const file = socket_file_of(arg_i32(0));
  return file < 0 ? file : tell_name(socket_of(file as Ptr<'File'>), of_peer);
}

function sys_getsockname(): number {
  return tell_own(false);
}

function sys_getpeername(): number {
  return tell_own(true);
}

function sys_shutdown(): number {
  const file = socket_file_of(arg_i32(0));
  if (file < 0) return file;
  const how = arg_i32(1);
  if (how < 0 || how > SHUT_RDWR) return -EINVAL;
  // SHUT_RD, SHUT_WR and SHUT_RDWR are the bits less one.
  socket_shutdown(socket_of(file as Ptr<'File'>), how + 1);
  return 0;
}

export const SOCKET_ROWS: readonly SyscallRow[] = [
  partial(41, 'socket', FAMILY_NOTE, sys_socket, 'domain:int', 'type:int', 'protocol:int'),
  partial(42, 'connect', FAMILY_NOTE, sys_connect, 'fd:fd', 'address:ptr', 'length:int'),
  partial(43, 'accept', FAMILY_NOTE, sys_accept, 'fd:fd', 'address:ptr', 'length:ptr'),
  partial(48, 'shutdown', FAMILY_NOTE, sys_shutdown, 'fd:fd', 'how:int'),
  partial(49, 'bind', FAMILY_NOTE, sys_bind, 'fd:fd', 'address:ptr', 'length:int'),
  partial(50, 'listen', FAMILY_NOTE, sys_listen, 'fd:fd', 'backlog:int'),
  partial(51, 'getsockname', FAMILY_NOTE, sys_getsockname, 'fd:fd', 'address:ptr', 'length:ptr'),
  partial(52, 'getpeername', FAMILY_NOTE, sys_getpeername, 'fd:fd', 'address:ptr', 'length:ptr'),
  partial(53, 'socketpair', FAMILY_NOTE, sys_socketpair, 'domain:int', 'type:int', 'protocol:int', 'fds:ptr'),
  partial(288, 'accept4', FAMILY_NOTE, sys_accept4, 'fd:fd', 'address:ptr', 'length:ptr', 'flags:int'),
];
