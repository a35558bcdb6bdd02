/** Options of sockets: getsockopt(2) and setsockopt(2) at level SOL_SOCKET. */
import { EDOM, EFAULT, EINVAL, ENODATA, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP, ERANGE } from '../abi/errno.ts';
import {
  AF_UNIX,
  SO_ACCEPTCONN,
  SO_BROADCAST,
  SO_COOKIE,
  SO_DEBUG,
  SO_DOMAIN,
  SO_DONTROUTE,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_MEMINFO,
  SO_OOBINLINE,
  SO_PASSCRED,
  SO_PEERCRED,
  SO_PEERGROUPS,
  SO_PEERNAME,
  SO_PEERPIDFD,
  SO_PRIORITY,
  SO_PROTOCOL,
  SO_RCVBUF,
  SO_RCVLOWAT,
  SO_RCVTIMEO,
  SO_REUSEADDR,
  SO_SNDBUF,
  SO_SNDLOWAT,
  SO_SNDTIMEO,
  SO_TIMESTAMP,
  SO_TYPE,
  SOL_SOCKET,
} from '../abi/socket.ts';
import type { Ptr } from '../base/types.ts';
import { arg_i32, arg_u64 } from '../kernel/args.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { pidfd_bind, pidfd_finish, pidfd_reserve } from '../kernel/pidfd.ts';
import { stage_i32, stage_i64, stage_in, stage_out, stage_set_u32, stage_set_u64 } from '../kernel/stage.ts';
import { Pid } from '../kernel/thread_group.layout.ts';
import { copy_out, get_user_i32, put_user_u32 } from '../mm/uaccess.ts';
import { SOCKET_LISTENING, UnixSocket } from '../socket/socket.layout.ts';
import { address_forget, named, socket_cookie, socket_name, socket_of } from '../socket/unix.ts';
import { socket_error } from '../socket/unix_io.ts';
import { File } from '../vfs/file.layout.ts';
import { partial, type SyscallRow } from './row.ts';
import { FAMILY_NOTE, socket_file_of } from './socket.ts';
import { stage_address } from './socket_address.ts';

/** Switches that are kept and told, and mean nothing here. */
const SWITCHES = [SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_TIMESTAMP];
/** net.core.wmem_max and rmem_max, and the least that Linux allows. */
const BUFFER_MAX = 212992;
const SEND_MIN = 4608;
const RECEIVE_MIN = 2304;

/** The value of an int option, or null: it is none. */
function int_option(socket: Ptr<'UnixSocket'>, name: number): number | null {
  if (SWITCHES.includes(name)) return (UnixSocket.options.get(socket) >>> name) & 1;
  switch (name) {
    case SO_TYPE:
      return UnixSocket.type.get(socket);
    case SO_ERROR:
      return socket_error(socket);
    case SO_SNDBUF:
      return UnixSocket.send_buffer.get(socket);
    case SO_RCVBUF:
      return UnixSocket.receive_buffer.get(socket);
    case SO_PASSCRED:
      return UnixSocket.pass_credentials.get(socket);
    case SO_ACCEPTCONN:
      return UnixSocket.state.get(socket) === SOCKET_LISTENING ? 1 : 0;
    case SO_DOMAIN:
      return AF_UNIX;
    case SO_PROTOCOL:
    case SO_PRIORITY:
      return 0;
    case SO_RCVLOWAT:
    case SO_SNDLOWAT:
      return 1;
    default:
      return UNUSED_OPTIONS.get(name) ?? null;
  }
}

/**
 * Options that nothing here has a use for, with the value that they have in Linux while nobody sets them: checksums,
 * security labels, time stamps, marks, filters, queues and polling of devices.
 */
const UNUSED_OPTIONS: ReadonlyMap<number, number> = new Map([
  ...[11, 14, 15, 34, 35, 36, 40, 41, 43, 44, 45, 46, 56, 60, 62, 63, 64, 69, 72, 73, 75, 76, 82].map(
    (name): [number, number] => [name, 0],
  ),
  [42, -1],
  [48, 64],
  [49, -1],
  [83, 1],
]);

/** Those of other lengths: devices, filters, time stamps, pacing. */
const UNUSED_BYTES: ReadonlyMap<number, { readonly length: number; readonly word: number }> = new Map([
  [25, { length: 0, word: 0 }],
  [26, { length: 0, word: 0 }],
  [37, { length: 8, word: 0 }],
  [47, { length: 8, word: -1 }],
  [61, { length: 8, word: 0 }],
  [65, { length: 8, word: 0 }],
]);
/** Those that other families have, or the network name space's cookie. */
const UNUSED_ERRORS: ReadonlyMap<number, number> = new Map([
  [71, -EINVAL],
  [74, -EOPNOTSUPP],
]);
/** The forms of both ages, which are the same for 64-bit programs (SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW). */
const RECEIVE_TIMEOUTS: readonly number[] = [SO_RCVTIMEO, 66];
const SEND_TIMEOUTS: readonly number[] = [SO_SNDTIMEO, 67];

/** Builds the value of an option in the stage: its length, or -ENOPROTOOPT. */
function stage_option(socket: Ptr<'UnixSocket'>, name: number): number {
  const value = int_option(socket, name);
  if (value !== null) {
    stage_set_u32(0, value);
    return 4;
  }
  if (name === SO_LINGER) {
    stage_set_u64(0, 0);
    return 8;
  }
  if (name === SO_PEERCRED) {
    const pid = UnixSocket.peer_pid.get(socket);
    const credentials = UnixSocket.peer_credentials.get(socket);
    stage_set_u32(0, pid === 0 ? 0 : Pid.number.get(pid));
    stage_set_u32(4, credentials === 0 ? 0xffff_ffff : Credentials.euid.get(credentials));
    stage_set_u32(8, credentials === 0 ? 0xffff_ffff : Credentials.egid.get(credentials));
    return 12;
  }
  const unused = UNUSED_BYTES.get(name);
  if (unused !== undefined) {
    stage_set_u32(0, unused.word);
    stage_set_u32(4, unused.word);
    return unused.length;
  }
  if (!RECEIVE_TIMEOUTS.includes(name) && !SEND_TIMEOUTS.includes(name)) return UNUSED_ERRORS.get(name) ?? -ENOPROTOOPT;
  const ns = (RECEIVE_TIMEOUTS.includes(name) ? UnixSocket.receive_timeout : UnixSocket.send_timeout).get(socket);
  stage_set_u64(0, Math.floor(ns / 1e9));
  stage_set_u64(8, Math.floor((ns % 1e9) / 1000));
  return 16;
}

/** Options that are told whole, or as far as the room goes, and refuse another. */
const PEER_OPTIONS: readonly number[] = [SO_PEERNAME, SO_COOKIE, SO_MEMINFO];
/** Words of SO_MEMINFO: received, its limit, sent, its limit, and five that nothing here counts. */
const MEMORY_WORDS = 9;

/** Builds the value of such an option in the stage: its length, or -errno. */
function stage_whole(socket: Ptr<'UnixSocket'>, name: number, room: number): number {
  if (name === SO_COOKIE) {
    stage_set_u64(0, socket_cookie(socket));
    return room < 8 ? -EINVAL : 8;
  }
  if (name === SO_MEMINFO) {
    for (let i = 0; i < MEMORY_WORDS; i++) stage_set_u32(4 * i, 0);
    stage_set_u32(4, UnixSocket.receive_buffer.get(socket));
    stage_set_u32(8, UnixSocket.charged.get(socket));
    stage_set_u32(12, UnixSocket.send_buffer.get(socket));
    return 4 * MEMORY_WORDS;
  }
  if (socket_name(socket, true) < 0) return -ENOTCONN;
  const { address } = named;
  const length = stage_address(address);
  address_forget(address);
  // Unlike elsewhere, there may be less room than the name has, but not more.
  return length < room ? -EINVAL : length;
}

/** SO_PEERPIDFD: a pidfd of the peer, of which the guest gets as many bytes as it has room for. */
function tell_peer_process(socket: Ptr<'UnixSocket'>, room: number): number {
  const pid = UnixSocket.peer_pid.get(socket);
  if (pid === 0) return -ENODATA;
  const reservation = pidfd_reserve(0);
  if (reservation.fd < 0) return reservation.fd;
  const told = Math.min(room, 4);
  stage_set_u32(0, reservation.fd);
  if (stage_out(arg_u64(3), told) >= 0 && put_user_u32(arg_u64(4), told) >= 0) pidfd_bind(reservation, pid);
  const bound = File.object.get(reservation.file) !== 0;
  pidfd_finish(reservation);
  return bound ? 0 : -EFAULT;
}

/** SO_PEERGROUPS: the supplementary groups of the peer; how many bytes it takes is told too where they do not fit. */
function tell_peer_groups(socket: Ptr<'UnixSocket'>, room: number): number {
  const credentials = UnixSocket.peer_credentials.get(socket);
  if (credentials === 0) return -ENODATA;
  const bytes = 4 * Credentials.group_count.get(credentials);
  if (room >= bytes && copy_out(arg_u64(3), Credentials.groups.at(credentials), bytes) < 0) return -EFAULT;
  if (put_user_u32(arg_u64(4), bytes) < 0) return -EFAULT;
  return room < bytes ? -ERANGE : 0;
}

function sys_getsockopt(): number {
  const file = socket_file_of(arg_i32(0));
  if (file < 0) return file;
  if (arg_i32(1) !== SOL_SOCKET) return -EOPNOTSUPP;
  const room = get_user_i32(arg_u64(4));
  if (!(room >= -0x8000_0000 && room <= 0x7fff_ffff)) return -EFAULT;
  if (room < 0) return -EINVAL;
  const socket = socket_of(file as Ptr<'File'>);
  const name = arg_i32(2);
  if (name === SO_PEERPIDFD) return tell_peer_process(socket, room);
  if (name === SO_PEERGROUPS) return tell_peer_groups(socket, room);
  const length = PEER_OPTIONS.includes(name) ? stage_whole(socket, name, room) : stage_option(socket, name);
  if (length < 0) return length;
  const told = Math.min(room, length);
  if (stage_out(arg_u64(3), told) < 0) return -EFAULT;
  return put_user_u32(arg_u64(4), told);
}

/** SO_RCVTIMEO and SO_SNDTIMEO: a struct timeval; 0 is none. */
function set_timeout_option(socket: Ptr<'UnixSocket'>, name: number, length: number): number {
  if (length < 16) return -EINVAL;
  if (stage_in(arg_u64(3), 16) < 0) return -EFAULT;
  const seconds = stage_i64(0);
  const microseconds = stage_i64(8);
  if (microseconds < 0 || microseconds >= 1_000_000) return -EDOM;
  const ns = seconds < 0 ? 0 : Math.min(seconds * 1e9 + microseconds * 1000, Number.MAX_SAFE_INTEGER);
  (RECEIVE_TIMEOUTS.includes(name) ? UnixSocket.receive_timeout : UnixSocket.send_timeout).set(socket, ns);
  return 0;
}

function set_int_option(socket: Ptr<'UnixSocket'>, name: number, value: number): number {
  if (SWITCHES.includes(name)) {
    const bit = 1 << name;
    const others = UnixSocket.options.get(socket) & ~bit;
    UnixSocket.options.set(socket, (others | (value !== 0 ? bit : 0)) >>> 0);
    return 0;
  }
  const doubled = Math.min(value >>> 0, BUFFER_MAX) * 2;
  switch (name) {
    case SO_SNDBUF:
      UnixSocket.send_buffer.set(socket, Math.max(doubled, SEND_MIN));
      return 0;
    case SO_RCVBUF:
      UnixSocket.receive_buffer.set(socket, Math.max(doubled, RECEIVE_MIN));
      return 0;
    case SO_PASSCRED:
      UnixSocket.pass_credentials.set(socket, value !== 0 ? 1 : 0);
      return 0;
    case SO_PRIORITY:
    case SO_RCVLOWAT:
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

function sys_setsockopt(): number {
  const file = socket_file_of(arg_i32(0));
  if (file < 0) return file;
  const length = arg_i32(4);
  if (length < 0) return -EINVAL;
  if (arg_i32(1) !== SOL_SOCKET) return -EOPNOTSUPP;
  const socket = socket_of(file as Ptr<'File'>);
  const name = arg_i32(2);
  if (length < 4) return -EINVAL;
  if (stage_in(arg_u64(3), 4) < 0) return -EFAULT;
  if (RECEIVE_TIMEOUTS.includes(name) || SEND_TIMEOUTS.includes(name)) return set_timeout_option(socket, name, length);
  if (name === SO_LINGER) return length < 8 ? -EINVAL : 0;
  return set_int_option(socket, name, stage_i32(0));
}

const NOTE = `${FAMILY_NOTE}; options of level SOL_SOCKET`;

export const SOCKET_OPTION_ROWS: readonly SyscallRow[] = [
  partial(54, 'setsockopt', NOTE, sys_setsockopt, 'fd:fd', 'level:int', 'name:int', 'value:ptr', 'length:int'),
  partial(55, 'getsockopt', NOTE, sys_getsockopt, 'fd:fd', 'level:int', 'name:int', 'value:ptr', 'length:ptr'),
];
