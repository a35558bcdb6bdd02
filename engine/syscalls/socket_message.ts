/** Messages: sendto(2), sendmsg(2), sendmmsg(2) and their receiving kin. */
import { EAGAIN, EFAULT, EINVAL, EISCONN, EMSGSIZE, ENOMEM, ENOTCONN, EOPNOTSUPP, EPIPE } from '../abi/errno.ts';
import { READABLE, WRITABLE } from '../abi/poll.ts';
import { SIGPIPE } from '../abi/signal.ts';
import {
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_OOB,
  MSG_PEEK,
  MSG_WAITALL,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../abi/socket.ts';
import type { Ptr } from '../base/types.ts';
import { F64, U32 } from '../heap/memory.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import {
  KEPT_ATTACHED,
  KEPT_HEADER,
  keep_at,
  kept_at,
  kept_piece,
  register_kept_release,
  release_arguments,
} from '../kernel/call_arguments.ts';
import { current } from '../kernel/current.ts';
import { siginfo_user } from '../kernel/siginfo.ts';
import { send_to_task } from '../kernel/signal.ts';
import { stage_in, stage_timespec, stage_u32, stage_u64 } from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { IOV_MAX, MAX_RW_COUNT } from '../mm/iov.ts';
import { put_user_u32, put_user_u64, user_range } from '../mm/uaccess.ts';
import { put_files } from '../socket/message.ts';
import { socket_root } from '../socket/root.ts';
import { SOCKET_CONNECTED, SocketRoot, UnixSocket } from '../socket/socket.layout.ts';
import { socket_forget, socket_of, waits_for_target } from '../socket/unix.ts';
import {
  discard_incoming,
  incoming,
  outgoing,
  plain_message,
  socket_receive,
  socket_receive_urgent,
  socket_send,
  socket_send_urgent,
  stream_pauses,
} from '../socket/unix_io.ts';
import { partial, type SyscallRow } from './row.ts';
import { FAMILY_NOTE, socket_file_of } from './socket.ts';
import { drop_address, find_taken, keep_address, put_address, put_sender, take_address } from './socket_address.ts';
import { control, drop_outgoing, put_control, take_control } from './socket_control.ts';
import { wait_for_socket } from './socket_wait.ts';
import {
  import_iovec,
  io,
  is_nonblocking,
  keep_text,
  keep_vector,
  pin_from,
  push_text,
  single_buffer,
  transfer_is_vector,
  transfer_length,
} from './transfer.ts';

/** Bytes pinned at a time: more than any message has. */
const CHUNK = 0x10_0000;
const MSGHDR_SIZE = 56;
const MMSGHDR_SIZE = 64;
const MMSG_LIMIT = 1024;

/** A struct msghdr from the guest. */
const header = { name: 0, name_length: 0, iov: 0, iov_count: 0, control: 0, control_length: 0 };

/** Reads a struct msghdr and its vector, at the call's first entry: 0 or -errno. */
function take_header(address: number): number {
  if (Task.kept_arguments.get(current) !== 0 && recall_header()) return import_iovec(header.iov, header.iov_count);
  if (stage_in(address, MSGHDR_SIZE) < 0) return -EFAULT;
  header.name = stage_u64(0);
  header.name_length = header.name === 0 ? 0 : stage_u32(8);
  header.iov = stage_u64(16);
  header.iov_count = stage_u64(24);
  header.control = stage_u64(32);
  header.control_length = header.control === 0 ? 0 : stage_u64(40);
  if (header.name_length >= 2 ** 31) return -EINVAL;
  if (header.iov_count > IOV_MAX) return -EMSGSIZE;
  return import_iovec(header.iov, header.iov_count);
}

/** The header that the call has kept; false when it has kept none. */
function recall_header(): boolean {
  const kept = kept_at(KEPT_HEADER) >> 3;
  if (kept === 0) return false;
  header.name = F64[kept] as number;
  header.name_length = F64[kept + 1] as number;
  header.iov = F64[kept + 2] as number;
  header.iov_count = F64[kept + 3] as number;
  header.control = F64[kept + 4] as number;
  header.control_length = F64[kept + 5] as number;
  return true;
}

/** Before a wait: keeps the message's header and vector, if it has them. False when the heap is exhausted. */
function keep_header(): boolean {
  if (!transfer_is_vector() || kept_piece(KEPT_HEADER) !== 0) return true;
  const at = keep_at(KEPT_HEADER, 48) >> 3;
  if (at === 0) return false;
  F64[at] = header.name;
  F64[at + 1] = header.name_length;
  F64[at + 2] = header.iov;
  F64[at + 3] = header.iov_count;
  F64[at + 4] = header.control;
  F64[at + 5] = header.control_length;
  return keep_vector();
}

/** Fills `outgoing`, from control data at the call's first entry: 0 or -errno. A stream's files go with its first bytes. */
function take_attached(control_at: number, size: number): number {
  plain_message();
  const kept = Task.kept_arguments.get(current) === 0 ? 0 : kept_at(KEPT_ATTACHED) >> 2;
  if (kept === 0) return take_control(control_at, size);
  outgoing.files = U32[kept] as number;
  outgoing.file_count = U32[kept + 1] as number;
  outgoing.pid = U32[kept + 2] as number;
  outgoing.uid = U32[kept + 3] as number;
  outgoing.gid = U32[kept + 4] as number;
  U32[kept] = 0;
  return 0;
}

/** Before a wait: keeps what goes with the message, and the references to files with it. False when the heap is exhausted. */
function keep_attached(size: number): boolean {
  if (size === 0) return true;
  const at = (kept_at(KEPT_ATTACHED) || keep_at(KEPT_ATTACHED, 20)) >> 2;
  if (at === 0) return false;
  U32[at] = outgoing.files;
  U32[at + 1] = outgoing.file_count;
  U32[at + 2] = outgoing.pid;
  U32[at + 3] = outgoing.uid;
  U32[at + 4] = outgoing.gid;
  outgoing.files = 0;
  outgoing.file_count = 0;
  return true;
}

register_kept_release(KEPT_ATTACHED, (data) => {
  const files = U32[data >> 2] as number;
  if (files !== 0) put_files(files, U32[(data >> 2) + 1] as number);
});

/** Sends the transfer described, to the address at `name` if there is one, with control data: bytes or -errno. */
function send(fd: number, flags: number, name: number, name_length: number, control_at: number, size: number): number {
  const found = socket_file_of(fd);
  if (found < 0) return found;
  // The address is copied whatever the socket does with it.
  const got = name !== 0 ? take_address(name, name_length) : 0;
  if (got < 0) return got;
  const result = send_to_taken(fd, found as Ptr<'File'>, flags, name !== 0 && name_length > 0, control_at, size);
  drop_address();
  return result;
}

/** As `send`, to the address taken if `is_named`. */
function send_to_taken(
  fd: number,
  file: Ptr<'File'>,
  flags: number,
  is_named: boolean,
  control_at: number,
  size: number,
): number {
  const socket = socket_of(file);
  const type = UnixSocket.type.get(socket);
  const done = Task.syscall_progress.get(current);
  const attached = take_attached(control_at, size);
  if (attached < 0) return attached;
  const urgent = (flags & MSG_OOB) !== 0;
  const refused = urgent ? refuse_urgent(socket, type) : 0;
  const named = refused < 0 ? refused : is_named ? find_target(socket, type) : 0;
  const n = named < 0 ? named : send_from(socket, type, done, urgent ? 1 : 0);
  const { target } = outgoing;
  const waits = n === -EAGAIN && !is_nonblocking(file) && (flags & MSG_DONTWAIT) === 0;
  const waiting = waits ? wait_to_send(fd, file, socket, target, size) : n;
  drop_outgoing();
  socket_forget(target);
  const sent = Task.syscall_progress.get(current);
  if (waiting === -EPIPE && sent === 0 && type === SOCK_STREAM && (flags & MSG_NOSIGNAL) === 0)
    send_to_task(current, SIGPIPE, siginfo_user(SIGPIPE));
  // What a stream has taken counts, whatever came then.
  return waiting < 0 && waiting > -0x10000 && sent > 0 ? sent : waiting;
}

/** Urgent data goes through streams only, a byte with each call (Linux's unix_stream_sendmsg): 0 or -errno. */
function refuse_urgent(socket: Ptr<'UnixSocket'>, type: number): number {
  if (type === SOCK_STREAM) return transfer_length() === 0 ? -EOPNOTSUPP : 0;
  const connected = UnixSocket.state.get(socket) === SOCKET_CONNECTED;
  return type === SOCK_DGRAM || connected ? -EOPNOTSUPP : -ENOTCONN;
}

/** Receives urgent data: 1 or -errno. */
function receive_urgent(socket: Ptr<'UnixSocket'>, flags: number): number {
  const type = UnixSocket.type.get(socket);
  if (type !== SOCK_STREAM)
    return type === SOCK_SEQPACKET && UnixSocket.state.get(socket) !== SOCKET_CONNECTED ? -ENOTCONN : -EOPNOTSUPP;
  io.reset();
  if (transfer_length() > 0) pin_from(0, 1, true);
  return socket_receive_urgent(socket, io, flags);
}

/** The socket that the address taken names, into `outgoing.target` with a hold: 0 or -errno. */
function find_target(socket: Ptr<'UnixSocket'>, type: number): number {
  if (type === SOCK_STREAM) return UnixSocket.state.get(socket) === SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
  if (type !== SOCK_DGRAM) return 0;
  const target = find_taken(type);
  if (target < 0) return target;
  outgoing.target = target as Ptr<'UnixSocket'>;
  return 0;
}

/**
 * Sends what follows the first `done` bytes: all bytes sent, or -errno; a stream's progress is kept. The last `urgent`
 * bytes, 0 or 1, are urgent data.
 */
function send_from(socket: Ptr<'UnixSocket'>, type: number, done: number, urgent: number): number {
  const total = transfer_length() - urgent;
  if (Task.kept_arguments.get(current) !== 0 && push_text()) return socket_send(socket, io);
  while (done < total || done === 0) {
    const wanted = Math.min(CHUNK, total - done);
    // What the socket has to say comes before memory that cannot be accessed.
    if (total > 0 && pin_from(done, wanted, false) < 0 && done > 0) return done;
    if (total === 0) io.reset();
    if (type !== SOCK_STREAM) {
      // Part of a message is none.
      if (io.wanted() < wanted) return -EFAULT;
      return socket_send(socket, io);
    }
    const n = socket_send(socket, io);
    if (n < 0) return n;
    done += n;
    if (done > 0) Task.syscall_progress.set(current, done);
    if (total === 0) break;
  }
  return urgent === 0 ? done : send_last(socket, done);
}

/** Sends the byte behind the first `done` as urgent data. */
function send_last(socket: Ptr<'UnixSocket'>, done: number): number {
  if (pin_from(done, 1, false) < 0 && done > 0) return done;
  const n = socket_send_urgent(socket, io);
  return n < 0 ? n : done + n;
}

/**
 * Waits for room in the socket's own buffer, or in the queue of a datagram's target. Linux has copied the datagram then,
 * but not while it waits for its own buffer. `control_size`: bytes of control data.
 */
function wait_to_send(
  fd: number,
  file: Ptr<'File'>,
  socket: Ptr<'UnixSocket'>,
  target: Ptr<'UnixSocket'>,
  control_size: number,
): number {
  const theirs = waits_for_target(socket, target);
  const text = theirs ? keep_text() : 0;
  if (text < 0) return text;
  if (!keep_header() || !keep_address() || !keep_attached(control_size)) return -ENOMEM;
  const queue = theirs ? SocketRoot.room.at(socket_root()) : UnixSocket.queue.at(socket);
  return wait_for_socket(fd, file, queue, WRITABLE, UnixSocket.send_timeout.get(socket));
}

/** Receives into the transfer described: bytes or -errno. What came along is in `incoming`, for the caller to use or drop. */
function receive(fd: number, file: Ptr<'File'>, flags: number): number {
  const socket = socket_of(file);
  if ((flags & MSG_OOB) !== 0) return receive_urgent(socket, flags);
  const total = transfer_length();
  const all = UnixSocket.type.get(socket) === SOCK_STREAM && (flags & (MSG_WAITALL | MSG_PEEK)) === MSG_WAITALL;
  let done = Task.syscall_progress.get(current);
  for (;;) {
    if (total === 0) io.reset();
    else if (pin_from(done, Math.min(CHUNK, total - done), true) < 0 && done > 0) return done;
    const n = socket_receive(socket, io, flags);
    if (n > 0) done += n;
    if (n > 0 && all && done < total && incoming.files.length === 0 && !stream_pauses(socket)) {
      discard_incoming();
      continue;
    }
    if (n !== -EAGAIN) return n < 0 && done === 0 ? n : done;
    if (is_nonblocking(file) || (flags & MSG_DONTWAIT) !== 0) return done > 0 ? done : n;
    Task.syscall_progress.set(current, done);
    if (!keep_header()) return done > 0 ? done : -ENOMEM;
    const queue = UnixSocket.queue.at(socket);
    const waiting = wait_for_socket(fd, file, queue, READABLE, UnixSocket.receive_timeout.get(socket));
    return waiting > -0x10000 && done > 0 ? done : waiting;
  }
}

function sys_sendto(): number {
  if (!user_range(arg_u64(1), Math.min(arg_u64(2), MAX_RW_COUNT))) return -EFAULT;
  single_buffer(arg_u64(1), arg_u64(2));
  return send(arg_i32(0), arg_i32(3), arg_u64(4), arg_i32(5), 0, 0);
}

function sys_recvfrom(): number {
  if (!user_range(arg_u64(1), Math.min(arg_u64(2), MAX_RW_COUNT))) return -EFAULT;
  const fd = arg_i32(0);
  const file = socket_file_of(fd);
  if (file < 0) return file;
  single_buffer(arg_u64(1), arg_u64(2));
  let n = receive(fd, file as Ptr<'File'>, arg_i32(3));
  if (n >= 0 && arg_u64(4) !== 0) {
    const { address } = incoming;
    const put = address === 0 ? put_user_u32(arg_u64(5), 0) : put_address(address, arg_u64(4), arg_u64(5));
    if (put < 0) n = put;
  }
  discard_incoming();
  return n;
}

function send_message(fd: number, at: number, flags: number): number {
  const file = socket_file_of(fd);
  if (file < 0) return file;
  const taken = take_header(at);
  if (taken < 0) return taken;
  return send(fd, flags, header.name, header.name_length, header.control, header.control_length);
}

function sys_sendmsg(): number {
  return send_message(arg_i32(0), arg_u64(1), arg_i32(2));
}

function receive_message(fd: number, at: number, flags: number): number {
  const file = socket_file_of(fd);
  if (file < 0) return file;
  const taken = take_header(at);
  if (taken < 0) return taken;
  const n = receive(fd, file as Ptr<'File'>, flags);
  const told = n < 0 ? n : tell_message(at, file as Ptr<'File'>, flags);
  discard_incoming();
  return told < 0 ? told : n;
}

/** Writes what recvmsg(2) tells beside the bytes: 0 or -EFAULT. */
function tell_message(at: number, file: Ptr<'File'>, flags: number): number {
  control.address = header.control;
  control.left = header.control_length;
  control.flags = 0;
  const socket = socket_of(file);
  // At the end of a stream nobody has sent anything, which is told as such; packets that end tell nothing.
  const stream = UnixSocket.type.get(socket) === SOCK_STREAM && (incoming.flags & MSG_OOB) === 0;
  const somebody = stream || incoming.pid !== 0;
  if (put_control(somebody && UnixSocket.pass_credentials.get(socket) !== 0, flags) < 0) return -EFAULT;
  if (header.name !== 0) {
    const length = put_sender(incoming.address, header.name, header.name_length);
    if (length < 0 || put_user_u32(at + 8, length) < 0) return -EFAULT;
  }
  if (put_user_u64(at + 40, header.control_length - control.left) < 0) return -EFAULT;
  return put_user_u32(at + 48, (flags & MSG_CMSG_CLOEXEC) | incoming.flags | control.flags);
}

function sys_recvmsg(): number {
  return receive_message(arg_i32(0), arg_u64(1), arg_i32(2));
}

/** Handles messages one after the other, waiting for the first only: how many, or what the first one answers. */
function each_message(one: (fd: number, at: number, flags: number) => number, flags: number): number {
  const file = socket_file_of(arg_i32(0));
  if (file < 0) return file;
  const count = Math.min(arg_u32(2), MMSG_LIMIT);
  for (let i = 0; i < count; i++) {
    const at = arg_u64(1) + i * MMSGHDR_SIZE;
    const n = one(arg_i32(0), at, i === 0 ? flags : flags | MSG_DONTWAIT);
    if (n < 0) return i > 0 ? i : n;
    if (put_user_u32(at + MSGHDR_SIZE, n) < 0) return i > 0 ? i : -EFAULT;
    Task.syscall_progress.set(current, 0);
    if (i === 0) release_arguments();
  }
  return count;
}

function sys_sendmmsg(): number {
  return each_message(send_message, arg_i32(3));
}

function sys_recvmmsg(): number {
  if (arg_u64(4) !== 0 && Task.syscall_entries.get(current) === 0) {
    if (stage_in(arg_u64(4), 16) < 0) return -EFAULT;
    if (stage_timespec(0) < 0) return -EINVAL;
  }
  return each_message(receive_message, arg_i32(3));
}

const MMSG_NOTE = `${FAMILY_NOTE}; waits for the first message only, and no timeout`;

export const SOCKET_MESSAGE_ROWS: readonly SyscallRow[] = [
  partial(
    44,
    'sendto',
    FAMILY_NOTE,
    sys_sendto,
    'fd:fd',
    'buf:in(2)',
    'length:size',
    'flags:int',
    'address:ptr',
    'address_length:int',
  ),
  partial(
    45,
    'recvfrom',
    FAMILY_NOTE,
    sys_recvfrom,
    'fd:fd',
    'buf:out(2)',
    'length:size',
    'flags:int',
    'address:ptr',
    'address_length:ptr',
  ),
  partial(46, 'sendmsg', FAMILY_NOTE, sys_sendmsg, 'fd:fd', 'message:ptr', 'flags:int'),
  partial(47, 'recvmsg', FAMILY_NOTE, sys_recvmsg, 'fd:fd', 'message:ptr', 'flags:int'),
  partial(299, 'recvmmsg', MMSG_NOTE, sys_recvmmsg, 'fd:fd', 'messages:ptr', 'count:uint', 'flags:int', 'timeout:ptr'),
  partial(307, 'sendmmsg', MMSG_NOTE, sys_sendmmsg, 'fd:fd', 'messages:ptr', 'count:uint', 'flags:int'),
];
