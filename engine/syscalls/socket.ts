/**
 * Sockets: none yet. Every address family is one that this kernel was built without, as socket(2) puts it;
 * calls on descriptors answer for a file that is no socket.
 */
import { EAFNOSUPPORT, EBADF, ENOTSOCK } from '../abi/errno.ts';
import { arg_i32 } from '../kernel/args.ts';
import { fd_file } from '../kernel/fd_table.ts';
import type { ArgumentSpec, SyscallRow } from './row.ts';

const NOTE = 'no address family is supported';

function no_family(): number {
  return -EAFNOSUPPORT;
}

function no_socket(): number {
  return fd_file(arg_i32(0)) === 0 ? -EBADF : -ENOTSOCK;
}

function row(number: number, name: string, handler: () => number, ...args: ArgumentSpec[]): SyscallRow {
  return { number, name, handler, args, support: 'unsupported', note: NOTE };
}

export const SOCKET_ROWS: readonly SyscallRow[] = [
  row(41, 'socket', no_family, 'domain:int', 'type:int', 'protocol:int'),
  row(42, 'connect', no_socket, 'fd:fd', 'address:ptr', 'length:int'),
  row(43, 'accept', no_socket, 'fd:fd', 'address:ptr', 'length:ptr'),
  row(44, 'sendto', no_socket, 'fd:fd', 'buf:in(2)', 'length:size', 'flags:int', 'address:ptr', 'address_length:int'),
  row(
    45,
    'recvfrom',
    no_socket,
    'fd:fd',
    'buf:out(2)',
    'length:size',
    'flags:int',
    'address:ptr',
    'address_length:ptr',
  ),
  row(46, 'sendmsg', no_socket, 'fd:fd', 'message:ptr', 'flags:int'),
  row(47, 'recvmsg', no_socket, 'fd:fd', 'message:ptr', 'flags:int'),
  row(48, 'shutdown', no_socket, 'fd:fd', 'how:int'),
  row(49, 'bind', no_socket, 'fd:fd', 'address:ptr', 'length:int'),
  row(50, 'listen', no_socket, 'fd:fd', 'backlog:int'),
  row(51, 'getsockname', no_socket, 'fd:fd', 'address:ptr', 'length:ptr'),
  row(52, 'getpeername', no_socket, 'fd:fd', 'address:ptr', 'length:ptr'),
  row(53, 'socketpair', no_family, 'domain:int', 'type:int', 'protocol:int', 'fds:ptr'),
  row(54, 'setsockopt', no_socket, 'fd:fd', 'level:int', 'name:int', 'value:ptr', 'length:int'),
  row(55, 'getsockopt', no_socket, 'fd:fd', 'level:int', 'name:int', 'value:ptr', 'length:ptr'),
  row(288, 'accept4', no_socket, 'fd:fd', 'address:ptr', 'length:ptr', 'flags:int'),
  row(299, 'recvmmsg', no_socket, 'fd:fd', 'messages:ptr', 'count:uint', 'flags:int', 'timeout:ptr'),
  row(307, 'sendmmsg', no_socket, 'fd:fd', 'messages:ptr', 'count:uint', 'flags:int'),
];
