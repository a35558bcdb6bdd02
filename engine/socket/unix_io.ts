/**
 * Sending and receiving on local sockets. No call here waits: -EAGAIN says that it would have to, on the socket's own
 * queue, or, for a datagram to a socket whose queue is full, on SocketRoot.room.
 */
import {
  EAGAIN,
  ECONNREFUSED,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENOMEM,
  ENOTCONN,
  ENOTTY,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTOTYPE,
  ESPIPE,
} from '../abi/errno.ts';
import { POLLPRI, READABLE, WRITABLE } from '../abi/poll.ts';
import { SIGURG } from '../abi/signal.ts';
import {
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SIOCATMARK,
  SIOCINQ,
  SIOCOUTQ,
  SO_OOBINLINE,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../abi/socket.ts';
import type { Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { wake } from '../heap/wait_queue.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { current } from '../kernel/current.ts';
import { signal_owner } from '../kernel/kill.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import type { IoCursor } from '../machine/io.ts';
import { put_user_u32 } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_SOCKET, file_get, file_put, register_file_operations } from '../vfs/file.ts';
import { collect_sockets } from './collect.ts';
import { address_get, MESSAGE_LIMIT, message_copy, message_create } from './message.ts';
import { lock_sockets, socket_root, unlock_sockets } from './root.ts';
import {
  RECEIVE_SHUTDOWN,
  SEND_SHUTDOWN,
  SOCKET_CONNECTED,
  SOCKET_LISTENING,
  SocketMessage,
  SocketRoot,
  UnixSocket,
} from './socket.layout.ts';
import {
  address_forget,
  count_in_flight,
  is_full,
  is_packet,
  is_target_full,
  may_send,
  message_gone,
  message_left,
  socket_get,
  socket_of,
  socket_poll,
  socket_put,
  socket_release,
  tell_senders,
} from './unix.ts';

type S = Ptr<'UnixSocket'>;

/** Bytes of a stream in one message (Linux's UNIX_SKB_FRAGS_SZ). */
const STREAM_PIECE = 32768;
/** What Linux keeps of the send buffer when it compares a datagram with it. */
const DATAGRAM_MARGIN = 32;
const NO_SOCKET = 0 as S;
const NO_MESSAGE = 0 as Ptr<'SocketMessage'>;

/** What goes with a message beyond its bytes; the caller fills it before each `socket_send`. */
export const outgoing = {
  /** Where a datagram goes; 0: to the peer. */
  target: NO_SOCKET,
  /** A heap page of referenced File pointers, which a message that is sent takes over (0 then), or 0. */
  files: 0,
  file_count: 0,
  pid: 0,
  uid: 0,
  gid: 0,
};

/** What came with the bytes of the last `socket_receive`. */
export const incoming = {
  /** Files with a reference each, which the caller takes over. */
  files: [] as Ptr<'File'>[],
  pid: 0,
  uid: 0,
  gid: 0,
  /** Name of the sender, with a hold for the caller, or 0. */
  address: 0 as Ptr<'SocketAddress'>,
  /** MSG_TRUNC where a message was longer than the room for it. */
  flags: 0,
  /** Length of the message whatever the room. */
  full_length: 0,
};

/** Takes the error that the next call is to report: -errno or 0. Under the lock. */
function take_error(socket: S): number {
  const error = UnixSocket.error.get(socket);
  UnixSocket.error.set(socket, 0);
  return -error;
}

/** SO_ERROR: the pending errno, which is cleared. */
export function socket_error(socket: S): number {
  lock_sockets();
  const error = take_error(socket);
  unlock_sockets();
  return -error;
}

/** Sends what the cursor holds, or the first part of it: bytes or -errno. */
export function socket_send(socket: S, io: IoCursor): number {
  lock_sockets();
  const n = is_packet(socket) ? send_packet(socket, io) : send_stream(socket, io);
  unlock_sockets();
  return n;
}

/** A stream's bytes; some of them when the buffer is full before the end. */
function send_stream(socket: S, io: IoCursor): number {
  return send_stream_bytes(socket, io, STREAM_PIECE);
}

/** The same in messages of `piece` bytes at most. */
function send_stream_bytes(socket: S, io: IoCursor, piece: number): number {
  if (UnixSocket.state.get(socket) !== SOCKET_CONNECTED) return -ENOTCONN;
  const peer = UnixSocket.peer.get(socket);
  // Also where nothing is to be sent.
  const closed =
    (UnixSocket.shutdown.get(socket) & SEND_SHUTDOWN) !== 0 ||
    UnixSocket.dead.get(peer) !== 0 ||
    (UnixSocket.shutdown.get(peer) & RECEIVE_SHUTDOWN) !== 0;
  if (closed) return -EPIPE;
  let sent = 0;
  while (io.wanted() > 0) {
    if (UnixSocket.charged.get(socket) >= UnixSocket.send_buffer.get(socket)) return sent > 0 ? sent : -EAGAIN;
    const length = Math.min(io.wanted(), piece);
    if (length > io.remaining) return sent > 0 ? sent : -EFAULT;
    const queued = queue_message(socket, peer, io, length);
    if (queued < 0) return sent > 0 ? sent : queued;
    sent += length;
  }
  return sent;
}

/** Sends the next byte as urgent data (MSG_OOB): 1 or -errno as `socket_send`. */
export function socket_send_urgent(socket: S, io: IoCursor): number {
  lock_sockets();
  const peer = UnixSocket.peer.get(socket);
  const n = send_stream_bytes(socket, io, 1);
  if (n === 1) UnixSocket.urgent.set(peer, UnixSocket.tail.get(peer));
  const file = n === 1 ? UnixSocket.file.get(peer) : (0 as Ptr<'File'>);
  const type = file === 0 ? 0 : File.owner_type.get(file);
  const owner = file === 0 ? 0 : File.owner.get(file);
  if (n === 1) wake(UnixSocket.queue.at(peer), READABLE | POLLPRI);
  unlock_sockets();
  signal_owner(type, owner, SIGURG);
  return n;
}

/** A message as a whole: to a packet socket's peer, or to a datagram's target. */
function send_packet(socket: S, io: IoCursor): number {
  const type = UnixSocket.type.get(socket);
  const length = io.wanted();
  if (type === SOCK_SEQPACKET && UnixSocket.state.get(socket) !== SOCKET_CONNECTED) return -ENOTCONN;
  const explicit = type === SOCK_DGRAM ? outgoing.target : NO_SOCKET;
  const target = explicit === 0 ? UnixSocket.peer.get(socket) : explicit;
  if (length > UnixSocket.send_buffer.get(socket) - DATAGRAM_MARGIN || length > MESSAGE_LIMIT) return -EMSGSIZE;
  const error = take_error(socket);
  if (error !== 0) return error;
  if ((UnixSocket.shutdown.get(socket) & SEND_SHUTDOWN) !== 0) return -EPIPE;
  if (UnixSocket.charged.get(socket) >= UnixSocket.send_buffer.get(socket)) return -EAGAIN;
  if (io.missing > 0) return -EFAULT;
  if (target === 0) return -ENOTCONN;
  if (UnixSocket.dead.get(target) !== 0) return dead_target(socket, target);
  if (UnixSocket.type.get(target) !== type) return -EPROTOTYPE;
  if (!may_send(socket, target)) return -EPERM;
  if ((UnixSocket.shutdown.get(target) & RECEIVE_SHUTDOWN) !== 0) return -EPIPE;
  if (is_target_full(socket, target)) return -EAGAIN;
  const queued = queue_message(socket, target, io, length);
  return queued < 0 ? queued : length;
}

/** A datagram socket forgets a peer that is gone; a packet socket's stream has ended. */
function dead_target(socket: S, target: S): number {
  if (UnixSocket.type.get(socket) === SOCK_SEQPACKET) return -EPIPE;
  if (UnixSocket.peer.get(socket) === target) {
    UnixSocket.peer.set(socket, NO_SOCKET);
    UnixSocket.state.set(socket, 0);
    socket_put(target);
  }
  return -ECONNREFUSED;
}

/** Appends a message of the next `length` bytes to the target's queue: 0 or -ENOMEM. */
function queue_message(socket: S, target: S, io: IoCursor, length: number): number {
  const message = message_create(io, length);
  if (message === 0) return -ENOMEM;
  SocketMessage.sender.set(message, socket_get(socket));
  SocketMessage.address.set(message, address_get(UnixSocket.address.get(socket)));
  SocketMessage.pid.set(message, outgoing.pid);
  SocketMessage.uid.set(message, outgoing.uid);
  SocketMessage.gid.set(message, outgoing.gid);
  SocketMessage.files.set(message, outgoing.files);
  SocketMessage.file_count.set(message, outgoing.file_count);
  count_in_flight(message, 1);
  outgoing.files = 0;
  outgoing.file_count = 0;
  UnixSocket.charged.set(socket, UnixSocket.charged.get(socket) + SocketMessage.charge.get(message));
  const tail = UnixSocket.tail.get(target);
  if (tail === 0) UnixSocket.head.set(target, message);
  else SocketMessage.next.set(tail, message);
  UnixSocket.tail.set(target, message);
  UnixSocket.queued.set(target, UnixSocket.queued.get(target) + 1);
  wake(UnixSocket.queue.at(target), READABLE);
  return 0;
}

function clear_incoming(): void {
  incoming.files = [];
  incoming.flags = 0;
  incoming.pid = 0;
  incoming.uid = 0;
  incoming.gid = 0;
  incoming.address = 0 as Ptr<'SocketAddress'>;
}

/** Receives into the cursor: bytes, 0 at the end of a stream, or -errno. `flags`: MSG_PEEK, MSG_TRUNC. */
export function socket_receive(socket: S, io: IoCursor, flags: number): number {
  clear_incoming();
  lock_sockets();
  const n = is_packet(socket) ? receive_packet(socket, io, flags) : receive_stream(socket, io, flags);
  unlock_sockets();
  return n;
}

/** What a receiver finds in an empty queue. A datagram socket has no end to be told of. */
function nothing_queued(socket: S): number {
  const error = take_error(socket);
  if (error !== 0) return error;
  const ended = (UnixSocket.shutdown.get(socket) & RECEIVE_SHUTDOWN) !== 0;
  return ended && UnixSocket.type.get(socket) !== SOCK_DGRAM ? 0 : -EAGAIN;
}

/**
 * Whether there is nothing to wait for in the queue of a datagram socket: where others would wait, its receiver gets
 * nothing (__skb_wait_for_more_packets).
 */
export function datagrams_ended(socket: S): boolean {
  lock_sockets();
  const type = UnixSocket.type.get(socket);
  const shut = (UnixSocket.shutdown.get(socket) & RECEIVE_SHUTDOWN) !== 0;
  const ended = type === SOCK_DGRAM && shut && UnixSocket.head.get(socket) === 0;
  unlock_sockets();
  return ended;
}

/** Bytes of one or more messages: up to one that carries descriptors, or comes from somebody else. */
function receive_stream(socket: S, io: IoCursor, flags: number): number {
  if (UnixSocket.state.get(socket) !== SOCKET_CONNECTED) return -EINVAL;
  const peek = (flags & MSG_PEEK) !== 0;
  let message = pass_mark(socket, UnixSocket.head.get(socket), peek, 0);
  if (message === 0) return nothing_queued(socket);
  note_sender(message);
  let done = 0;
  while (message !== 0 && io.wanted() > 0) {
    const pass = UnixSocket.pass_credentials.get(socket) !== 0;
    if (done > 0 && pass && !same_sender(message)) break;
    const offset = SocketMessage.offset.get(message);
    const left = SocketMessage.length.get(message) - offset;
    const n = Math.min(left, io.wanted());
    // What cannot be copied whole stays.
    if (n > io.remaining) return done > 0 ? done : -EFAULT;
    message_copy(message, io, offset, n);
    done += n;
    const carries = SocketMessage.file_count.get(message) > 0;
    if (carries) take_files(message, peek);
    const next = SocketMessage.next.get(message);
    if (!peek) {
      SocketMessage.offset.set(message, offset + n);
      if (n === left) remove_head(socket, message);
    }
    // What is left of the message is still in front of the next one.
    if (carries || n < left) break;
    message = pass_mark(socket, next, peek, done);
  }
  return done;
}

/**
 * The message that a read goes on with at `message`, 0 for none (Linux's manage_oob). A read ends before urgent data; one
 * that begins there passes over it, unless it is to be read in its place (SO_OOBINLINE).
 */
function pass_mark(socket: S, message: Ptr<'SocketMessage'>, peek: boolean, done: number): Ptr<'SocketMessage'> {
  const urgent = UnixSocket.urgent.get(socket);
  if (message === 0 || (message_left(message) > 0 && message !== urgent)) return message;
  if (message_left(message) === 0) {
    if (done > 0 && (urgent === 0 || message === urgent)) return NO_MESSAGE;
    const next = SocketMessage.next.get(message);
    if (!peek) remove_head(socket, message);
    message = next;
  }
  if (message === urgent && message !== 0) {
    if (done > 0) return NO_MESSAGE;
    const inline = reads_inline(socket);
    const next = SocketMessage.next.get(message);
    if (!peek) UnixSocket.urgent.set(socket, NO_MESSAGE);
    if (!peek && !inline) remove_head(socket, message);
    if (!inline) message = next;
  }
  while (message !== 0 && message_left(message) === 0) message = SocketMessage.next.get(message);
  return message;
}

function reads_inline(socket: S): boolean {
  return ((UnixSocket.options.get(socket) >>> SO_OOBINLINE) & 1) !== 0;
}

/** Receives urgent data of a connected stream (MSG_OOB): 1, -EINVAL when there is none, -EFAULT. */
export function socket_receive_urgent(socket: S, io: IoCursor, flags: number): number {
  clear_incoming();
  lock_sockets();
  const message = UnixSocket.urgent.get(socket);
  const found = UnixSocket.state.get(socket) === SOCKET_CONNECTED && message !== 0 && !reads_inline(socket);
  // It counts as told where there is no room for it.
  const told = io.remaining > 0 || io.wanted() === 0;
  if (found && io.remaining > 0) message_copy(message, io, SocketMessage.offset.get(message), 1);
  if (found && (flags & MSG_PEEK) === 0) {
    UnixSocket.urgent.set(socket, NO_MESSAGE);
    remove_mark_before(socket, message);
    SocketMessage.offset.set(message, SocketMessage.length.get(message));
  }
  unlock_sockets();
  if (!found) return -EINVAL;
  incoming.flags = MSG_OOB;
  return told ? 1 : -EFAULT;
}

/** There is one mark of urgent data that was read: an older one just before `message` goes. */
function remove_mark_before(socket: S, message: Ptr<'SocketMessage'>): void {
  let before = NO_MESSAGE;
  let at = UnixSocket.head.get(socket);
  for (; at !== 0 && SocketMessage.next.get(at) !== message; at = SocketMessage.next.get(at)) before = at;
  if (at === 0 || message_left(at) > 0) return;
  if (before === 0) remove_head(socket, at);
  else {
    SocketMessage.next.set(before, message);
    UnixSocket.queued.set(socket, UnixSocket.queued.get(socket) - 1);
    message_gone(at);
  }
}

/** Whether a stream's read that has got something ends here: before urgent data, or where it was. */
export function stream_pauses(socket: S): boolean {
  lock_sockets();
  const pauses = is_at_mark(socket);
  unlock_sockets();
  return pauses;
}

/** Whether the next byte is, or was, urgent data (sockatmark(3)). Under the lock. */
function is_at_mark(socket: S): boolean {
  const head = UnixSocket.head.get(socket);
  if (head === 0 || UnixSocket.type.get(socket) !== SOCK_STREAM) return false;
  const urgent = UnixSocket.urgent.get(socket);
  return head === urgent || (message_left(head) === 0 && (urgent === 0 || SocketMessage.next.get(head) === urgent));
}

/** One message; what does not fit is lost. */
function receive_packet(socket: S, io: IoCursor, flags: number): number {
  const type = UnixSocket.type.get(socket);
  if (type === SOCK_SEQPACKET && UnixSocket.state.get(socket) !== SOCKET_CONNECTED) return -ENOTCONN;
  const message = UnixSocket.head.get(socket);
  if (message === 0) return nothing_queued(socket);
  note_sender(message);
  const length = SocketMessage.length.get(message);
  const n = Math.min(length, io.wanted());
  const told = n <= io.remaining;
  if (n < length) incoming.flags |= MSG_TRUNC;
  incoming.full_length = length;
  if (told) message_copy(message, io, 0, n);
  const peek = (flags & MSG_PEEK) !== 0;
  if (SocketMessage.file_count.get(message) > 0) take_files(message, peek);
  if (!peek) {
    const full = is_full(socket);
    remove_head(socket, message);
    if (full && !is_full(socket)) {
      wake(SocketRoot.room.at(socket_root()), WRITABLE, Number.MAX_SAFE_INTEGER);
      tell_senders(socket);
    }
  }
  // What cannot be told is gone all the same.
  if (!told) return -EFAULT;
  return (flags & MSG_TRUNC) !== 0 ? length : n;
}

/** Under the lock. */
function note_sender(message: Ptr<'SocketMessage'>): void {
  incoming.pid = SocketMessage.pid.get(message);
  incoming.uid = SocketMessage.uid.get(message);
  incoming.gid = SocketMessage.gid.get(message);
  incoming.address = address_get(SocketMessage.address.get(message));
}

function same_sender(message: Ptr<'SocketMessage'>): boolean {
  return (
    incoming.pid === SocketMessage.pid.get(message) &&
    incoming.uid === SocketMessage.uid.get(message) &&
    incoming.gid === SocketMessage.gid.get(message)
  );
}

/** The files of a message go to the receiver; one that only looks gets references of its own. */
function take_files(message: Ptr<'SocketMessage'>, peek: boolean): void {
  const files = SocketMessage.files.get(message) >> 2;
  const count = SocketMessage.file_count.get(message);
  for (let i = 0; i < count; i++) {
    const file = U32[files + i] as Ptr<'File'>;
    incoming.files.push(peek ? file_get(file) : file);
  }
  if (peek) return;
  count_in_flight(message, -1);
  SocketMessage.file_count.set(message, 0);
}

function remove_head(socket: S, message: Ptr<'SocketMessage'>): void {
  const next = SocketMessage.next.get(message);
  UnixSocket.head.set(socket, next);
  if (next === 0) UnixSocket.tail.set(socket, next);
  UnixSocket.queued.set(socket, UnixSocket.queued.get(socket) - 1);
  message_gone(message);
}

/** FIONREAD and SIOCOUTQ. */
function ioctl(file: Ptr<'File'>, command: number, argument: number): number {
  const socket = socket_of(file);
  if (command === SIOCATMARK && UnixSocket.type.get(socket) !== SOCK_STREAM) return -EOPNOTSUPP;
  if (command === SIOCATMARK) return put_user_u32(argument, stream_pauses(socket) ? 1 : 0);
  if (command === SIOCOUTQ) return put_user_u32(argument, UnixSocket.charged.get(socket));
  if (command !== SIOCINQ) return -ENOTTY;
  lock_sockets();
  let waiting = 0;
  const listening = UnixSocket.state.get(socket) === SOCKET_LISTENING;
  const whole = UnixSocket.type.get(socket) === SOCK_DGRAM;
  for (let m = UnixSocket.head.get(socket); m !== 0; m = SocketMessage.next.get(m)) {
    waiting += SocketMessage.length.get(m) - SocketMessage.offset.get(m);
    if (whole) break;
  }
  unlock_sockets();
  return listening ? -EINVAL : put_user_u32(argument, waiting);
}

/** Fills `outgoing` for a message of the current task without a name and descriptors. */
export function plain_message(): void {
  const credentials = Task.credentials.get(current);
  outgoing.target = NO_SOCKET;
  outgoing.files = 0;
  outgoing.file_count = 0;
  outgoing.pid = ThreadGroup.tgid.get(Task.group.get(current));
  outgoing.uid = Credentials.uid.get(credentials);
  outgoing.gid = Credentials.gid.get(credentials);
}

/** Drops what came with the last message and nobody wants. */
export function discard_incoming(): void {
  for (const file of incoming.files) file_put(file);
  incoming.files = [];
  address_forget(incoming.address);
  incoming.address = 0 as Ptr<'SocketAddress'>;
}

register_file_operations(FILE_KIND_SOCKET, {
  name: 'socket',
  read(file, io) {
    if (io.wanted() === 0) return 0;
    const n = socket_receive(socket_of(file), io, 0);
    discard_incoming();
    return n;
  },
  write(file, io) {
    plain_message();
    return socket_send(socket_of(file), io);
  },
  poll: socket_poll,
  queue: (file) => UnixSocket.queue.at(socket_of(file)),
  seek: () => -ESPIPE,
  ioctl,
  release(file) {
    socket_release(socket_of(file));
    collect_sockets();
  },
});
