/** Sockets: include/linux/socket.h, include/uapi/asm-generic/socket.h, include/uapi/linux/un.h. */
export const AF_UNSPEC = 0;
export const AF_UNIX = 1;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_TYPE_MASK = 0xf;
/** The same bits as O_NONBLOCK and O_CLOEXEC. */
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

/** Bytes of sockaddr_un: the family and 108 of path. */
export const UNIX_PATH_MAX = 108;
export const SOCKADDR_UN_SIZE = 110;
export const SOCKADDR_STORAGE_SIZE = 128;

export const MSG_OOB = 1;
export const MSG_PEEK = 2;
export const MSG_CTRUNC = 8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_EOR = 0x80;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x4000_0000;

export const SOL_SOCKET = 1;
export const SCM_RIGHTS = 1;
export const SCM_CREDENTIALS = 2;
/** Descriptors in one message at most. */
export const SCM_MAX_FD = 253;

export const SO_DEBUG = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_DONTROUTE = 5;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_PRIORITY = 12;
export const SO_LINGER = 13;
export const SO_PASSCRED = 16;
export const SO_PEERCRED = 17;
export const SO_RCVLOWAT = 18;
export const SO_SNDLOWAT = 19;
export const SO_RCVTIMEO = 20;
export const SO_SNDTIMEO = 21;
export const SO_PEERNAME = 28;
export const SO_TIMESTAMP = 29;
export const SO_ACCEPTCONN = 30;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
export const SO_MEMINFO = 55;
export const SO_COOKIE = 57;
export const SO_PEERGROUPS = 59;
export const SO_PEERPIDFD = 77;

export const SHUT_RDWR = 2;

/** ioctl: bytes to be read, and bytes sent that nobody has read. */
export const SIOCINQ = 0x541b;
export const SIOCATMARK = 0x8905;
export const SIOCOUTQ = 0x5411;
