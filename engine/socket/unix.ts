/**
 * Local sockets: making, naming, connecting, closing; what poll(2) sees (unix(7), Linux's net/unix/af_unix.c).
 * unix_io.ts sends and receives.
 *
 * Lock order: sockets, then wait_queue, frames, slab. Functions that take no lock say "under the lock".
 */
import {
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  ENOMEM,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPROTOTYPE,
} from '../abi/errno.ts';
import { O_RDWR } from '../abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLPRI, POLLRDHUP, POLLWRBAND, READABLE, WRITABLE } from '../abi/poll.ts';
import { SOCK_DGRAM, SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM } from '../abi/socket.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_equal } from '../heap/bytes.ts';
import { U32 } from '../heap/memory.ts';
import { wake } from '../heap/wait_queue.ts';
import { credentials_get, credentials_put } from '../kernel/credentials.ts';
import { current } from '../kernel/current.ts';
import { pid_get } from '../kernel/pid.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { File } from '../vfs/file.layout.ts';
import { anon_file, FILE_KIND_SOCKET, file_put } from '../vfs/file.ts';
import { iget, iput } from '../vfs/inode.ts';
import { Inode } from '../vfs/vfs.layout.ts';
import { address_create, address_get, address_put, message_drop, pid_drop, unix_sockets } from './message.ts';
import { lock_sockets, socket_root, unlock_sockets } from './root.ts';
import {
  BOTH_SHUTDOWN,
  RECEIVE_SHUTDOWN,
  SEND_SHUTDOWN,
  SOCKET_CONNECTED,
  SOCKET_LISTENING,
  SOCKET_UNCONNECTED,
  SocketAddress,
  SocketMessage,
  SocketRoot,
  UnixSocket,
} from './socket.layout.ts';

type S = Ptr<'UnixSocket'>;

/** net.core.wmem_default and rmem_default. */
export const DEFAULT_BUFFER = 212992;
/** net.unix.max_dgram_qlen: messages a socket queues beyond the first before senders wait. */
const DATAGRAM_QUEUE = 10;
/** Everything a socket's watchers could wait for. */
const ALL_EVENTS = READABLE | WRITABLE | POLLPRI | POLLERR | POLLHUP | POLLRDHUP;
const EVERYONE = Number.MAX_SAFE_INTEGER;
const NO_SOCKET = 0 as S;
const NO_PID = 0 as Ptr<'Pid'>;
const NO_CREDENTIALS = 0 as Ptr<'Credentials'>;

/** The socket behind a file of FILE_KIND_SOCKET. */
export function socket_of(file: Ptr<'File'>): S {
  return File.object.get(file) as S;
}

/** Whether messages keep their bounds. */
export function is_packet(socket: S): boolean {
  return UnixSocket.type.get(socket) !== SOCK_STREAM;
}

/** A new socket that one holder has, in the list of all; 0 without memory. */
function socket_create(type: number): S {
  const socket = unix_sockets.alloc();
  if (socket === 0) return socket;
  UnixSocket.refs.set(socket, 1);
  UnixSocket.type.set(socket, type);
  UnixSocket.backlog.set(socket, DATAGRAM_QUEUE);
  UnixSocket.send_buffer.set(socket, DEFAULT_BUFFER);
  UnixSocket.receive_buffer.set(socket, DEFAULT_BUFFER);
  lock_sockets();
  const root = socket_root();
  const first = SocketRoot.first.get(root);
  UnixSocket.next.set(socket, first);
  if (first !== 0) UnixSocket.prev.set(first, socket);
  SocketRoot.first.set(root, socket);
  unlock_sockets();
  return socket;
}

/** One more holder, under the lock. */
export function socket_get(socket: S): S {
  UnixSocket.refs.set(socket, UnixSocket.refs.get(socket) + 1);
  return socket;
}

/** One holder less, under the lock; the last one frees the record. */
export function socket_put(socket: S): void {
  if (socket === 0) return;
  const refs = UnixSocket.refs.get(socket) - 1;
  UnixSocket.refs.set(socket, refs);
  if (refs > 0) return;
  address_put(UnixSocket.address.get(socket));
  act_for(socket, OWN, NO_PID, NO_CREDENTIALS);
  act_for(socket, PEER, NO_PID, NO_CREDENTIALS);
  const next = UnixSocket.next.get(socket);
  const prev = UnixSocket.prev.get(socket);
  if (prev === 0) SocketRoot.first.set(socket_root(), next);
  else UnixSocket.next.set(prev, next);
  if (next !== 0) UnixSocket.prev.set(next, prev);
  unix_sockets.free(socket);
}

/** Gives a socket its file, which takes over the caller's hold; 0 without memory, and the socket is gone. */
function socket_file(socket: S, flags: number): Ptr<'File'> {
  const file = anon_file(FILE_KIND_SOCKET, socket, O_RDWR | (flags & SOCK_NONBLOCK));
  if (file === 0) socket_release(socket);
  else UnixSocket.file.set(socket, file);
  return file;
}

/** socket(2): a file, or 0 without memory. `flags` may have SOCK_NONBLOCK. */
export function socket_open(type: number, flags: number): Ptr<'File'> {
  const socket = socket_create(type);
  if (socket === 0) return 0 as Ptr<'File'>;
  lock_sockets();
  set_owner(socket);
  unlock_sockets();
  return socket_file(socket, flags);
}

/** Notes who acts for a socket: the current task. Under the lock. */
function set_owner(socket: S): void {
  const leader = ThreadGroup.leader.get(Task.group.get(current));
  act_for(socket, OWN, Task.pid.get(leader), Task.credentials.get(current));
}

/** The fields that say who acts for a socket, and who for its peer. */
const OWN = { pid: UnixSocket.pid, credentials: UnixSocket.credentials };
const PEER = { pid: UnixSocket.peer_pid, credentials: UnixSocket.peer_credentials };

/** Replaces who acts for a socket, or its peer. Under the lock. */
function act_for(socket: S, side: typeof OWN, pid: Ptr<'Pid'>, credentials: Ptr<'Credentials'>): void {
  const old_pid = side.pid.get(socket);
  const old_credentials = side.credentials.get(socket);
  side.pid.set(socket, pid === 0 ? pid : pid_get(pid));
  side.credentials.set(socket, credentials === 0 ? credentials : credentials_get(credentials));
  if (old_pid !== 0) pid_drop(old_pid);
  if (old_credentials !== 0) credentials_put(old_credentials);
}

/** The socket's own number (SO_COOKIE). */
export function socket_cookie(socket: S): number {
  lock_sockets();
  let cookie = UnixSocket.cookie.get(socket);
  if (cookie === 0) {
    cookie = SocketRoot.cookies.get(socket_root()) + 1;
    SocketRoot.cookies.set(socket_root(), cookie);
    UnixSocket.cookie.set(socket, cookie);
  }
  unlock_sockets();
  return cookie;
}

/** Makes two stream or packet sockets each other's ends. Under the lock. */
function join(a: S, b: S): void {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    UnixSocket.peer.set(one, socket_get(other));
    UnixSocket.state.set(one, SOCKET_CONNECTED);
    act_for(one, PEER, UnixSocket.pid.get(other), UnixSocket.credentials.get(other));
  }
}

/** The files of socketpair(2), in `socket_ends`. */
export const socket_ends = { first: 0 as Ptr<'File'>, second: 0 as Ptr<'File'> };

/** Makes two connected sockets and their files: 0 or -ENOMEM. */
export function socket_pair(type: number, flags: number): number {
  const first = socket_create(type);
  if (first === 0) return -ENOMEM;
  const second = socket_create(type);
  if (second === 0) {
    socket_release(first);
    return -ENOMEM;
  }
  lock_sockets();
  set_owner(first);
  set_owner(second);
  join(first, second);
  unlock_sockets();
  socket_ends.first = socket_file(first, flags);
  if (socket_ends.first === 0) {
    socket_release(second);
    return -ENOMEM;
  }
  socket_ends.second = socket_file(second, flags);
  if (socket_ends.second !== 0) return 0;
  file_put(socket_ends.first);
  return -ENOMEM;
}

/** The socket of a type with this abstract name, with a hold for the caller, or 0. Path as in a sockaddr_un. */
export function find_abstract(type: number, path: number, length: number): S {
  lock_sockets();
  const socket = abstract_locked(type, path, length);
  if (socket !== 0) socket_get(socket);
  unlock_sockets();
  return socket;
}

/** Each type has abstract names of its own. */
function abstract_locked(type: number, path: number, length: number): S {
  let socket = SocketRoot.first.get(socket_root());
  for (; socket !== 0; socket = UnixSocket.next.get(socket)) {
    const address = UnixSocket.address.get(socket);
    if (UnixSocket.abstract.get(socket) === 0 || UnixSocket.dead.get(socket) !== 0) continue;
    if (UnixSocket.type.get(socket) !== type) continue;
    const same = SocketAddress.length.get(address) === length + 2;
    if (same && bytes_equal(SocketAddress.path.at(address), path, length)) break;
  }
  return socket;
}

/** The socket bound to an inode, with a hold for the caller, or 0. */
export function find_bound(inode: Ptr<'Inode'>): S {
  lock_sockets();
  const socket = Inode.endpoint.get(inode) as S;
  if (socket !== 0) socket_get(socket);
  unlock_sockets();
  return socket;
}

/** Drops a hold that `find_abstract` or `find_bound` gave. */
export function socket_forget(socket: S): void {
  if (socket === 0) return;
  lock_sockets();
  socket_put(socket);
  unlock_sockets();
}

/** Whether bind(2) may go on: 0, or -EINVAL for a socket that has a name. */
export function may_bind(socket: S): number {
  return UnixSocket.address.get(socket) === 0 ? 0 : -EINVAL;
}

/** Names a socket: an abstract name where `inode` is 0, else that of the inode. 0 or -errno. */
export function socket_bind(socket: S, path: number, length: number, inode: Ptr<'Inode'>): number {
  const address = address_create(path, length);
  if (address === 0) return -ENOMEM;
  lock_sockets();
  let result = may_bind(socket);
  if (result === 0 && inode === 0 && abstract_locked(UnixSocket.type.get(socket), path, length) !== 0)
    result = -EADDRINUSE;
  if (result === 0) {
    UnixSocket.address.set(socket, address);
    UnixSocket.abstract.set(socket, inode === 0 ? 1 : 0);
    if (inode !== 0) {
      UnixSocket.inode.set(socket, iget(inode));
      Inode.endpoint.set(inode, socket);
    }
  } else address_put(address);
  unlock_sockets();
  return result;
}

/** The number of the next name that autobind tries. */
export function next_autobind(): number {
  lock_sockets();
  const root = socket_root();
  const number = SocketRoot.autobound.get(root);
  SocketRoot.autobound.set(root, (number + 1) & 0xfffff);
  unlock_sockets();
  return number;
}

/** listen(2): 0 or -errno. */
export function socket_listen(socket: S, backlog: number): number {
  if (UnixSocket.type.get(socket) === SOCK_DGRAM) return -EOPNOTSUPP;
  lock_sockets();
  const state = UnixSocket.state.get(socket);
  let result = 0;
  if (UnixSocket.address.get(socket) === 0 || state === SOCKET_CONNECTED) result = -EINVAL;
  else {
    if (backlog > UnixSocket.backlog.get(socket)) wake(SocketRoot.room.at(socket_root()), WRITABLE, EVERYONE);
    UnixSocket.backlog.set(socket, backlog);
    UnixSocket.state.set(socket, SOCKET_LISTENING);
    set_owner(socket);
    act_for(socket, PEER, UnixSocket.pid.get(socket), UnixSocket.credentials.get(socket));
  }
  unlock_sockets();
  return result;
}

/** connect(2) of a stream or packet socket: 0, -EAGAIN while the listener's backlog is full (wait for `room`), -errno. */
export function socket_connect(socket: S, listener: S): number {
  const type = UnixSocket.type.get(socket);
  const child = socket_create(type);
  if (child === 0) return -ENOMEM;
  lock_sockets();
  let result = 0;
  if (UnixSocket.type.get(listener) !== type) result = -EPROTOTYPE;
  else if (UnixSocket.dead.get(listener) !== 0 || UnixSocket.state.get(listener) !== SOCKET_LISTENING)
    result = -ECONNREFUSED;
  else if ((UnixSocket.shutdown.get(listener) & RECEIVE_SHUTDOWN) !== 0) result = -ECONNREFUSED;
  else if (UnixSocket.pending.get(listener) > UnixSocket.backlog.get(listener)) result = -EAGAIN;
  else if (UnixSocket.state.get(socket) === SOCKET_CONNECTED) result = -EISCONN;
  else if (UnixSocket.state.get(socket) === SOCKET_LISTENING) result = -EINVAL;
  if (result === 0) {
    set_owner(socket);
    act_for(child, OWN, UnixSocket.pid.get(listener), UnixSocket.credentials.get(listener));
    UnixSocket.address.set(child, address_get(UnixSocket.address.get(listener)));
    UnixSocket.pass_credentials.set(child, UnixSocket.pass_credentials.get(listener));
    join(socket, child);
    append_pending(listener, child);
  } else socket_put(child);
  unlock_sockets();
  if (result === 0) wake(UnixSocket.queue.at(socket), ALL_EVENTS, EVERYONE);
  return result;
}

function append_pending(listener: S, child: S): void {
  const tail = UnixSocket.accept_tail.get(listener);
  if (tail === 0) UnixSocket.accept_head.set(listener, child);
  else UnixSocket.accept_next.set(tail, child);
  UnixSocket.accept_tail.set(listener, child);
  UnixSocket.pending.set(listener, UnixSocket.pending.get(listener) + 1);
  wake(UnixSocket.queue.at(listener), READABLE);
}

/** Takes the oldest of the connections that wait, under the lock; 0 when there is none. */
function take_pending(listener: S): S {
  const child = UnixSocket.accept_head.get(listener);
  if (child === 0) return child;
  const next = UnixSocket.accept_next.get(child);
  UnixSocket.accept_head.set(listener, next);
  if (next === 0) UnixSocket.accept_tail.set(listener, next);
  UnixSocket.accept_next.set(child, NO_SOCKET);
  UnixSocket.pending.set(listener, UnixSocket.pending.get(listener) - 1);
  return child;
}

/** accept(2): a file, -EAGAIN when nobody waits, or -errno. */
export function socket_accept(listener: S, flags: number): number {
  if (UnixSocket.type.get(listener) === SOCK_DGRAM) return -EOPNOTSUPP;
  lock_sockets();
  let result = UnixSocket.state.get(listener) === SOCKET_LISTENING ? 0 : -EINVAL;
  const child = result === 0 ? take_pending(listener) : NO_SOCKET;
  if (result === 0 && child === 0)
    result = (UnixSocket.shutdown.get(listener) & RECEIVE_SHUTDOWN) !== 0 ? -EINVAL : -EAGAIN;
  if (child !== 0) wake(SocketRoot.room.at(socket_root()), WRITABLE, EVERYONE);
  unlock_sockets();
  return result < 0 ? result : socket_file(child, flags) || -ENOMEM;
}

/** connect(2) of a datagram socket: where its messages go from now on; 0 takes the peer away. 0 or -errno. */
export function datagram_connect(socket: S, target: S): number {
  lock_sockets();
  let result = 0;
  if (target !== 0) {
    if (UnixSocket.dead.get(target) !== 0) result = -ECONNREFUSED;
    else if (UnixSocket.type.get(target) !== SOCK_DGRAM) result = -EPROTOTYPE;
    else if (!may_send(socket, target)) result = -EPERM;
  }
  if (result === 0) {
    const old = UnixSocket.peer.get(socket);
    UnixSocket.peer.set(socket, target === 0 ? target : socket_get(target));
    UnixSocket.state.set(socket, target === 0 ? SOCKET_UNCONNECTED : SOCKET_CONNECTED);
    if (old !== 0 && old !== target) forget_received(socket, old);
    socket_put(old);
  }
  unlock_sockets();
  if (result === 0) wake(UnixSocket.queue.at(socket), ALL_EVENTS, EVERYONE);
  return result;
}

/** A datagram socket has left its peer, and loses what it has received; a peer that stays learns of that. */
function forget_received(socket: S, old: S): void {
  if (UnixSocket.head.get(socket) === 0) return;
  drop_messages(socket);
  wake(SocketRoot.room.at(socket_root()), WRITABLE, EVERYONE);
  tell_senders(socket);
  if (UnixSocket.dead.get(old) !== 0 || UnixSocket.peer.get(old) !== socket) return;
  UnixSocket.error.set(old, ECONNRESET);
  wake(UnixSocket.queue.at(old), ALL_EVENTS, EVERYONE);
}

/** A datagram socket that is connected takes messages from its peer alone. Under the lock. */
export function may_send(sender: S, target: S): boolean {
  const peer = UnixSocket.peer.get(target);
  return peer === 0 || peer === sender;
}

/** shutdown(2): `bits` are RECEIVE_SHUTDOWN and SEND_SHUTDOWN. */
export function socket_shutdown(socket: S, bits: number): void {
  lock_sockets();
  UnixSocket.shutdown.set(socket, UnixSocket.shutdown.get(socket) | bits);
  const peer = UnixSocket.peer.get(socket);
  if (peer !== 0 && UnixSocket.type.get(socket) !== SOCK_DGRAM) {
    const mirrored =
      ((bits & RECEIVE_SHUTDOWN) !== 0 ? SEND_SHUTDOWN : 0) | ((bits & SEND_SHUTDOWN) !== 0 ? RECEIVE_SHUTDOWN : 0);
    UnixSocket.shutdown.set(peer, UnixSocket.shutdown.get(peer) | mirrored);
    wake(UnixSocket.queue.at(peer), ALL_EVENTS, EVERYONE);
  }
  wake(UnixSocket.queue.at(socket), ALL_EVENTS, EVERYONE);
  unlock_sockets();
}

/** The socket's file is gone: its peer learns of it, its name is free, what was queued is dropped. */
export function socket_release(socket: S): void {
  lock_sockets();
  close_locked(socket, false);
  const inode = UnixSocket.inode.get(socket);
  UnixSocket.inode.set(socket, 0 as Ptr<'Inode'>);
  if (inode !== 0) Inode.endpoint.set(inode, 0);
  const attributes = UnixSocket.attributes.load(socket) as Ptr<'Inode'>;
  UnixSocket.attributes.store(socket, 0);
  socket_put(socket);
  unlock_sockets();
  if (inode !== 0) iput(inode);
  if (attributes !== 0) iput(attributes);
}

function close_locked(socket: S, never_accepted: boolean): void {
  UnixSocket.dead.set(socket, 1);
  UnixSocket.file.set(socket, 0 as Ptr<'File'>);
  UnixSocket.shutdown.set(socket, BOTH_SHUTDOWN);
  const peer = UnixSocket.peer.get(socket);
  UnixSocket.peer.set(socket, NO_SOCKET);
  if (peer !== 0 && UnixSocket.type.get(socket) !== SOCK_DGRAM) {
    UnixSocket.shutdown.set(peer, BOTH_SHUTDOWN);
    if (never_accepted || has_unread(socket)) UnixSocket.error.set(peer, ECONNRESET);
    wake(UnixSocket.queue.at(peer), ALL_EVENTS, EVERYONE);
  }
  socket_put(peer);
  for (let child = take_pending(socket); child !== 0; child = take_pending(socket)) {
    close_locked(child, true);
    socket_put(child);
  }
  drop_messages(socket);
  // Whoever waits for room here learns that there is nobody any more.
  wake(SocketRoot.room.at(socket_root()), WRITABLE, EVERYONE);
  tell_senders(socket);
}

/** Bytes of a message that are still to be read. */
export function message_left(message: Ptr<'SocketMessage'>): number {
  return SocketMessage.length.get(message) - SocketMessage.offset.get(message);
}

/** Whether a byte is queued: messages of none do not count (unix_release_sock of Linux 6.18, by `inq_len`). */
function has_unread(socket: S): boolean {
  let message = UnixSocket.head.get(socket);
  while (message !== 0 && message_left(message) === 0) message = SocketMessage.next.get(message);
  return message !== 0;
}

/** Drops what a socket has received and nobody will read. Under the lock. */
export function drop_messages(socket: S): void {
  let message = UnixSocket.head.get(socket);
  UnixSocket.urgent.set(socket, 0 as Ptr<'SocketMessage'>);
  UnixSocket.head.set(socket, 0 as Ptr<'SocketMessage'>);
  UnixSocket.tail.set(socket, 0 as Ptr<'SocketMessage'>);
  UnixSocket.queued.set(socket, 0);
  while (message !== 0) {
    const next = SocketMessage.next.get(message);
    message_gone(message);
    message = next;
  }
}

/** Counts the sockets among the files of a message, which starts (1) or ends (-1) its way. Under the lock. */
export function count_in_flight(message: Ptr<'SocketMessage'>, change: number): void {
  const files = SocketMessage.files.get(message) >> 2;
  const root = socket_root();
  for (let i = 0; i < SocketMessage.file_count.get(message); i++) {
    const file = U32[files + i] as Ptr<'File'>;
    if (File.kind.get(file) !== FILE_KIND_SOCKET) continue;
    const socket = socket_of(file);
    UnixSocket.in_flight.set(socket, UnixSocket.in_flight.get(socket) + change);
    SocketRoot.in_flight.set(root, SocketRoot.in_flight.get(root) + change);
  }
}

/** Wakes those who send their datagrams to this socket: it has room again, or is gone. Under the lock. */
export function tell_senders(socket: S): void {
  if (UnixSocket.type.get(socket) !== SOCK_DGRAM) return;
  for (let s = SocketRoot.first.get(socket_root()); s !== 0; s = UnixSocket.next.get(s))
    if (UnixSocket.peer.get(s) === socket) wake(UnixSocket.queue.at(s), WRITABLE, EVERYONE);
}

/** A message has been read or dropped: the sender's buffer has room again. Under the lock. */
export function message_gone(message: Ptr<'SocketMessage'>): void {
  const sender = SocketMessage.sender.get(message);
  count_in_flight(message, -1);
  const before = is_writable(sender);
  UnixSocket.charged.set(sender, UnixSocket.charged.get(sender) - SocketMessage.charge.get(message));
  if (!before && is_writable(sender)) wake(UnixSocket.queue.at(sender), WRITABLE, EVERYONE);
  socket_put(sender);
  address_put(SocketMessage.address.get(message));
  message_drop(message);
}

/** Whether poll(2) calls a socket writable: a quarter of its buffer at most is in use. */
function is_writable(socket: S): boolean {
  return UnixSocket.charged.get(socket) * 4 <= UnixSocket.send_buffer.get(socket);
}

/** Whether a datagram socket's queue holds all it may. Under the lock. */
export function is_full(socket: S): boolean {
  return UnixSocket.queued.get(socket) > UnixSocket.backlog.get(socket);
}

/** Whether a datagram socket sends to a queue with bounds, and that has no room: sockets that are each other's peer fill theirs. */
export function is_target_full(socket: S, target: S): boolean {
  return UnixSocket.type.get(socket) === SOCK_DGRAM && UnixSocket.peer.get(target) !== socket && is_full(target);
}

/** Whether a datagram from `socket` to `target` (0: its peer) waits for room in the target's queue, not in its own buffer. */
export function waits_for_target(socket: S, target: S): boolean {
  lock_sockets();
  const to = target === 0 ? UnixSocket.peer.get(socket) : target;
  const has_room = UnixSocket.charged.get(socket) < UnixSocket.send_buffer.get(socket);
  const waits = has_room && to !== 0 && is_target_full(socket, to);
  unlock_sockets();
  return waits;
}

/** Events as unix_poll and unix_dgram_poll give them. */
export function socket_poll(file: Ptr<'File'>): number {
  const socket = socket_of(file);
  lock_sockets();
  const type = UnixSocket.type.get(socket);
  const state = UnixSocket.state.get(socket);
  const shutdown = UnixSocket.shutdown.get(socket);
  let events = 0;
  if (UnixSocket.error.get(socket) !== 0) events |= POLLERR;
  if (UnixSocket.urgent.get(socket) !== 0) events |= POLLPRI;
  if (shutdown === BOTH_SHUTDOWN) events |= POLLHUP;
  if ((shutdown & RECEIVE_SHUTDOWN) !== 0) events |= POLLRDHUP | READABLE;
  if (UnixSocket.head.get(socket) !== 0 || UnixSocket.pending.get(socket) > 0) events |= READABLE;
  if (type !== SOCK_DGRAM && state === SOCKET_UNCONNECTED) events |= POLLHUP;
  const peer = UnixSocket.peer.get(socket);
  const blocked = peer !== 0 && is_target_full(socket, peer);
  if (state !== SOCKET_LISTENING && is_writable(socket) && !blocked) events |= WRITABLE | POLLWRBAND;
  unlock_sockets();
  return events;
}

/** What `socket_name` found. */
export const named = { address: 0 as Ptr<'SocketAddress'> };

/** The peer's or the socket's own name, with a hold for the caller, into `named`: 0, or -ENOTCONN without a peer. */
export function socket_name(socket: S, of_peer: boolean): number {
  lock_sockets();
  const whose = of_peer ? UnixSocket.peer.get(socket) : socket;
  named.address = whose === 0 ? (0 as Ptr<'SocketAddress'>) : address_get(UnixSocket.address.get(whose));
  unlock_sockets();
  return whose === 0 ? -ENOTCONN : 0;
}

/** Drops a hold on an address. */
export function address_forget(address: Ptr<'SocketAddress'>): void {
  if (address === 0) return;
  lock_sockets();
  address_put(address);
  unlock_sockets();
}

/** Whether a type of socket exists in this family. */
export function known_type(type: number): boolean {
  return type === SOCK_STREAM || type === SOCK_DGRAM || type === SOCK_SEQPACKET;
}
