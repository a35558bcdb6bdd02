/** Descriptions of socket calls. */
import {
  arg,
  array,
  blob,
  both,
  bytes,
  bytesize,
  choice,
  fixed,
  flags,
  input,
  int16be,
  int32,
  int32be,
  len,
  maybe,
  of,
  one_of,
  output,
  range,
  string,
  struct,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { sock, sock_inet, sock_netlink, sock_unix } from './resources.ts';
import { BUFFER_IN, BUFFER_OUT, IOVEC_IN, IOVEC_OUT, TIMEOUT } from './structs.ts';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_NETLINK = 16;

const TYPE = flags({ STREAM: 1, DGRAM: 2, SEQPACKET: 5, SOCK_NONBLOCK: 0o4000, SOCK_CLOEXEC: 0o2000000 });
const ACCEPT_FLAGS = arg('flags', flags({ SOCK_NONBLOCK: 0o4000, SOCK_CLOEXEC: 0o2000000 }));
const MESSAGE_FLAGS = flags({
  ...{ MSG_OOB: 1, MSG_PEEK: 2, MSG_DONTROUTE: 4, MSG_TRUNC: 0x20, MSG_DONTWAIT: 0x40, MSG_EOR: 0x80 },
  ...{ MSG_WAITALL: 0x100, MSG_NOSIGNAL: 0x4000, MSG_MORE: 0x8000, MSG_CMSG_CLOEXEC: 0x4000_0000 },
});

const SOCKADDR_UN = struct('sockaddr_un', arg('family', fixed(AF_UNIX, 2)), arg('path', string('./s0', './s1')));
const SOCKADDR_IN = struct(
  'sockaddr_in',
  arg('family', fixed(AF_INET, 2)),
  arg('port', { ...int16be, range: [0x4e20n, 0x4e23n] }),
  arg('address', { ...int32be, range: [0x7f00_0001n, 0x7f00_0002n] }),
  arg('zero', fixed(0)),
);
const SOCKADDR_NL = struct(
  'sockaddr_nl',
  arg('family', fixed(AF_NETLINK, 2)),
  arg('pad', fixed(0, 2)),
  arg('pid', range(0, 2, 4)),
  arg('groups', range(0, 2, 4)),
);
const ADDRESS = choice('sockaddr', arg('un', SOCKADDR_UN), arg('in', SOCKADDR_IN), arg('nl', SOCKADDR_NL));
const ADDRESS_OUT = maybe(output(bytes(110)));
const ADDRESS_LENGTH = maybe(both(range(0, 128, 4)));
const SOCK = arg('fd', of(sock));

const CONTROL = struct(
  'cmsg_rights',
  arg('len', bytesize('parent')),
  arg('level', fixed(1, 4)),
  arg('type', range(1, 2, 4)),
  arg('fds', array(of(sock), 0, 2)),
);
const MSGHDR_IN = struct(
  'msghdr_in',
  arg('name', maybe(input(ADDRESS))),
  arg('namelen', bytesize('name', 4)),
  arg('iov', input(array(IOVEC_IN))),
  arg('iovlen', len('iov')),
  arg('control', maybe(input(CONTROL))),
  arg('controllen', bytesize('control')),
  arg('flags', int32),
);
const MSGHDR_OUT = struct(
  'msghdr_out',
  arg('name', ADDRESS_OUT),
  arg('namelen', bytesize('name', 4)),
  arg('iov', input(array(IOVEC_OUT))),
  arg('iovlen', len('iov')),
  arg('control', maybe(output(blob(0, 128)))),
  arg('controllen', bytesize('control')),
  arg('flags', int32),
);
const PAIR = output(struct('socket_pair', arg('first', of(sock_unix)), arg('second', of(sock_unix))));
const OPTION = arg('option', range(1, 50));
const LEVEL = arg('level', one_of({ SOL_SOCKET: 1, IPPROTO_IP: 0, IPPROTO_TCP: 6, SOL_NETLINK: 270 }));
const MMSG_IN = struct('mmsghdr_in', arg('header', MSGHDR_IN), arg('length', range(0, 0, 4)));
const MMSG_OUT = struct('mmsghdr_out', arg('header', MSGHDR_OUT), arg('length', range(0, 0, 4)));

export const SOCKET_CALLS: readonly CallDescription[] = [
  call('socket', [arg('domain', range(0, 45)), arg('type', TYPE), arg('protocol', range(0, 17))], sock),
  call('socket$unix', [arg('domain', fixed(AF_UNIX)), arg('type', TYPE), arg('protocol', fixed(0))], sock_unix),
  call('socket$inet', [arg('domain', fixed(AF_INET)), arg('type', TYPE), arg('protocol', range(0, 17))], sock_inet),
  call(
    'socket$netlink',
    [arg('domain', fixed(AF_NETLINK)), arg('type', TYPE), arg('protocol', range(0, 20))],
    sock_netlink,
  ),
  call('socketpair', [arg('domain', fixed(AF_UNIX)), arg('type', TYPE), arg('protocol', fixed(0)), arg('pair', PAIR)]),
  call('bind', [SOCK, arg('address', input(ADDRESS)), arg('length', bytesize('address'))]),
  call('connect', [SOCK, arg('address', input(ADDRESS)), arg('length', bytesize('address'))]),
  call('listen', [SOCK, arg('backlog', range(0, 4))]),
  call('accept', [SOCK, arg('address', ADDRESS_OUT), arg('length', ADDRESS_LENGTH)], sock),
  call('accept4', [SOCK, arg('address', ADDRESS_OUT), arg('length', ADDRESS_LENGTH), ACCEPT_FLAGS], sock),
  call('getsockname', [SOCK, arg('address', ADDRESS_OUT), arg('length', ADDRESS_LENGTH)]),
  call('getpeername', [SOCK, arg('address', ADDRESS_OUT), arg('length', ADDRESS_LENGTH)]),
  call('shutdown', [SOCK, arg('how', range(0, 2))]),
  call('sendto', [
    SOCK,
    arg('buf', BUFFER_IN),
    arg('size', len('buf')),
    arg('flags', MESSAGE_FLAGS),
    arg('address', maybe(input(ADDRESS))),
    arg('length', bytesize('address')),
  ]),
  call('recvfrom', [
    SOCK,
    arg('buf', BUFFER_OUT),
    arg('size', len('buf')),
    arg('flags', MESSAGE_FLAGS),
    arg('address', ADDRESS_OUT),
    arg('length', ADDRESS_LENGTH),
  ]),
  call('sendmsg', [SOCK, arg('message', input(MSGHDR_IN)), arg('flags', MESSAGE_FLAGS)]),
  call('recvmsg', [SOCK, arg('message', both(MSGHDR_OUT)), arg('flags', MESSAGE_FLAGS)]),
  call('sendmmsg', [
    SOCK,
    arg('messages', both(array(MMSG_IN, 0, 2))),
    arg('count', len('messages')),
    arg('flags', MESSAGE_FLAGS),
  ]),
  call('recvmmsg', [
    SOCK,
    arg('messages', both(array(MMSG_OUT, 0, 2))),
    arg('count', len('messages')),
    arg('flags', MESSAGE_FLAGS),
    arg('timeout', TIMEOUT),
  ]),
  call('setsockopt', [SOCK, LEVEL, OPTION, arg('value', input(blob(0, 64))), arg('length', len('value'))]),
  call('getsockopt', [
    SOCK,
    LEVEL,
    OPTION,
    arg('value', output(blob(0, 64))),
    arg('length', maybe(both(range(0, 64, 4)))),
  ]),
];
