/**
 * Local sockets (unix(7)). One lock for all of a machine's: a message concerns two sockets, and closing one concerns
 * its peer, those who wait to be accepted, and everything queued. It is called `sockets` below.
 *
 * Who holds a UnixSocket: its file, its peer, messages it has sent, the queue it waits in to be accepted.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';
import { WaitQueue } from '../heap/wait_queue.ts';

/** Values of UnixSocket.state. */
export const SOCKET_UNCONNECTED = 0;
export const SOCKET_CONNECTED = 1;
export const SOCKET_LISTENING = 2;
/** Bits of `shutdown`. */
export const RECEIVE_SHUTDOWN = 1;
export const SEND_SHUTDOWN = 2;
export const BOTH_SHUTDOWN = 3;

/** Values of `mark`: not reached, reached, and what it leads to looked at. */
export const MARK_NONE = 0;
export const MARK_REACHED = 1;
export const MARK_DONE = 2;

const r = layout('SocketRoot');
export const SocketRoot = r.done(
  {
    lock: r.embed(Lock),
    /** Every socket. */
    first: r.ptr('UnixSocket', 'guarded by lock'),
    /** Cookies given so far. */
    cookies: r.f64('guarded by lock'),
    /** Names given by autobind so far. */
    autobound: r.u32('guarded by lock'),
    /** References to sockets' files that lie in messages. */
    in_flight: r.u32('guarded by lock'),
    /** Senders wait here for room in another socket's queue, and connecting ones for room in its backlog. */
    room: r.embed(WaitQueue),
  },
  48,
);

const a = layout('SocketAddress');
export const SocketAddress = a.done(
  {
    /** Sockets and messages that carry it. */
    refs: a.u32('guarded by sockets'),
    /** Bytes of the sockaddr_un, family included. */
    length: a.u32('immutable'),
    path: a.bytes(112, 4, 'immutable'),
  },
  120,
);

/** Bytes of a message kept in its record, and pages of one that is longer. */
export const INLINE_BYTES = 256;
export const MESSAGE_PAGES = 64;

const m = layout('SocketMessage');
export const SocketMessage = m.done(
  {
    next: m.ptr('SocketMessage', 'guarded by sockets'),
    sender: m.ptr('UnixSocket', 'guarded by sockets'),
    /** Name of the sender as of then, 0 none. */
    address: m.ptr('SocketAddress', 'guarded by sockets'),
    pid: m.i32('immutable'),
    uid: m.u32('immutable'),
    gid: m.u32('immutable'),
    length: m.u32('immutable'),
    /** Bytes of a stream already read. */
    offset: m.u32('guarded by sockets'),
    /** What it costs the sender's buffer. */
    charge: m.u32('immutable'),
    /** A heap page of File pointers with a reference each, 0 none. */
    files: m.u32('guarded by sockets'),
    file_count: m.u32('guarded by sockets'),
    /** The bytes, or the addresses of pages. */
    data: m.bytes(INLINE_BYTES, 8, 'immutable'),
  },
  304,
);

const l = layout('UnixSocket');
export const UnixSocket = l.done(
  {
    refs: l.u32('guarded by sockets'),
    /** SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. */
    type: l.u32('immutable'),
    state: l.u32('guarded by sockets'),
    shutdown: l.u32('guarded by sockets'),
    /** 1: its file is gone. */
    dead: l.u32('guarded by sockets'),
    /** Errno for the next call, reported once. */
    error: l.u32('guarded by sockets'),
    next: l.ptr('UnixSocket', 'guarded by sockets'),
    prev: l.ptr('UnixSocket', 'guarded by sockets'),
    /** The other end; of a datagram socket, where its messages go. */
    peer: l.ptr('UnixSocket', 'guarded by sockets'),
    head: l.ptr('SocketMessage', 'guarded by sockets'),
    tail: l.ptr('SocketMessage', 'guarded by sockets'),
    /** The byte of urgent data in the queue, until it is read or overtaken. One that was read stays as an empty mark. */
    urgent: l.ptr('SocketMessage', 'guarded by sockets'),
    /** Messages received and not read. */
    queued: l.u32('guarded by sockets'),
    /** Bytes sent and not read, as charged. */
    charged: l.u32('guarded by sockets'),
    queue: l.embed(WaitQueue),
    address: l.ptr('SocketAddress', 'guarded by sockets'),
    /** 1: found by its address, which is an abstract name; a connection shares its listener's and is not. */
    abstract: l.u32('guarded by sockets'),
    /** The name in the file tree, with a reference; its `endpoint` is this socket. */
    inode: l.ptr('Inode', 'guarded by sockets'),
    /** Connections that may wait, and those that do. */
    backlog: l.u32('guarded by sockets'),
    pending: l.u32('guarded by sockets'),
    accept_head: l.ptr('UnixSocket', 'guarded by sockets'),
    accept_tail: l.ptr('UnixSocket', 'guarded by sockets'),
    accept_next: l.ptr('UnixSocket', 'guarded by sockets'),
    /** Who made the connection, or listens: what the peer is told. */
    pid: l.ptr('Pid', 'guarded by sockets'),
    credentials: l.ptr('Credentials', 'guarded by sockets'),
    /** The same of the peer, as of then; of a listener its own. 0 while there is none. */
    peer_pid: l.ptr('Pid', 'guarded by sockets'),
    peer_credentials: l.ptr('Credentials', 'guarded by sockets'),
    /** SO_COOKIE, 0 until somebody asks. */
    cookie: l.f64('guarded by sockets'),
    pass_credentials: l.u32('guarded by sockets'),
    /** The file, 0 before accept(2), and how many references to it lie in messages. */
    file: l.ptr('File', 'guarded by sockets'),
    in_flight: l.u32('guarded by sockets'),
    /** MARK_*: found while lost sockets are looked for. */
    mark: l.u32('guarded by sockets'),
    /** Options that are kept and told, a bit for each SO_* below 32. */
    options: l.u32('guarded by sockets'),
    send_buffer: l.u32('guarded by sockets'),
    receive_buffer: l.u32('guarded by sockets'),
    /** SO_RCVTIMEO and SO_SNDTIMEO in ns, 0 none. */
    receive_timeout: l.f64('guarded by sockets'),
    send_timeout: l.f64('guarded by sockets'),
    /** The inode of its file, once somebody asked for attributes (fs/anon/attributes.ts). */
    attributes: l.atomic(),
  },
  200,
);
