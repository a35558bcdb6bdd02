/**
 * Names of numbers, for traces: errno values, signals, and the sets that argument specifications refer to
 * (`flags(NAME)`, `enum(NAME)`). Values are those of the x86-64 Linux headers.
 */
import * as errnos from '../abi/errno.ts';

/** Internal results have names too; everything below 512 in abi/errno.ts is an errno. */
const ERRNO_NAMES = new Map<number, string>(
  Object.entries(errnos)
    .filter(([, value]) => value > 0 && value < 512)
    .map(([name, value]) => [value, name]),
);

/** 'ENOENT' for 2; 'errno 200' where there is no name. */
export function errno_name(number: number): string {
  return ERRNO_NAMES.get(number) ?? `errno ${number}`;
}

const SIGNALS =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );

/** 'SIGINT' for 2, 'SIGRTMIN+3' for 35, the number where there is no such signal. */
export function signal_name(number: number): string {
  const name = SIGNALS[number - 1];
  if (name !== undefined) return `SIG${name}`;
  if (number >= 32 && number <= 64) return number === 32 ? 'SIGRTMIN' : `SIGRTMIN+${number - 32}`;
  return String(number);
}

/** A set of names: single bits or fields for flags, values for enums. Later entries match first. */
export type NameSet = Readonly<Record<string, number>>;

const OPEN: NameSet = {
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_DSYNC: 0o10000,
  O_ASYNC: 0o20000,
  O_DIRECT: 0o40000,
  O_DIRECTORY: 0o200000,
  O_NOFOLLOW: 0o400000,
  O_NOATIME: 0o1000000,
  O_CLOEXEC: 0o2000000,
  O_SYNC: 0o4010000,
  O_PATH: 0o10000000,
  O_TMPFILE: 0o20200000,
};

const CLONE: NameSet = {
  CLONE_NEWTIME: 0x80,
  CLONE_VM: 0x100,
  CLONE_FS: 0x200,
  CLONE_FILES: 0x400,
  CLONE_SIGHAND: 0x800,
  CLONE_PIDFD: 0x1000,
  CLONE_PTRACE: 0x2000,
  CLONE_VFORK: 0x4000,
  CLONE_PARENT: 0x8000,
  CLONE_THREAD: 0x10000,
  CLONE_NEWNS: 0x20000,
  CLONE_SYSVSEM: 0x40000,
  CLONE_SETTLS: 0x80000,
  CLONE_PARENT_SETTID: 0x100000,
  CLONE_CHILD_CLEARTID: 0x200000,
  CLONE_DETACHED: 0x400000,
  CLONE_UNTRACED: 0x800000,
  CLONE_CHILD_SETTID: 0x1000000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
  CLONE_IO: 0x80000000,
};

const PROT: NameSet = { PROT_READ: 1, PROT_WRITE: 2, PROT_EXEC: 4, PROT_GROWSDOWN: 0x1000000 };

const MAP: NameSet = {
  MAP_SHARED: 1,
  MAP_PRIVATE: 2,
  MAP_SHARED_VALIDATE: 3,
  MAP_FIXED: 0x10,
  MAP_ANONYMOUS: 0x20,
  MAP_32BIT: 0x40,
  MAP_GROWSDOWN: 0x100,
  MAP_DENYWRITE: 0x800,
  MAP_LOCKED: 0x2000,
  MAP_NORESERVE: 0x4000,
  MAP_POPULATE: 0x8000,
  MAP_NONBLOCK: 0x10000,
  MAP_STACK: 0x20000,
  MAP_HUGETLB: 0x40000,
  MAP_FIXED_NOREPLACE: 0x100000,
};

const AT: NameSet = {
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_REMOVEDIR: 0x200,
  AT_SYMLINK_FOLLOW: 0x400,
  AT_NO_AUTOMOUNT: 0x800,
  AT_EMPTY_PATH: 0x1000,
  AT_STATX_FORCE_SYNC: 0x2000,
  AT_STATX_DONT_SYNC: 0x4000,
};

const WAIT: NameSet = {
  WNOHANG: 1,
  WUNTRACED: 2,
  WEXITED: 4,
  WCONTINUED: 8,
  WNOWAIT: 0x1000000,
  __WNOTHREAD: 0x20000000,
  __WALL: 0x40000000,
  __WCLONE: 0x80000000,
};

const FCNTL: NameSet = {
  F_DUPFD: 0,
  F_GETFD: 1,
  F_SETFD: 2,
  F_GETFL: 3,
  F_SETFL: 4,
  F_GETLK: 5,
  F_SETLK: 6,
  F_SETLKW: 7,
  F_SETOWN: 8,
  F_GETOWN: 9,
  F_SETSIG: 10,
  F_GETSIG: 11,
  F_OFD_GETLK: 36,
  F_OFD_SETLK: 37,
  F_OFD_SETLKW: 38,
  F_DUPFD_CLOEXEC: 1030,
  F_SETPIPE_SZ: 1031,
  F_GETPIPE_SZ: 1032,
  F_ADD_SEALS: 1033,
  F_GET_SEALS: 1034,
};

const CLOCK: NameSet = {
  CLOCK_REALTIME: 0,
  CLOCK_MONOTONIC: 1,
  CLOCK_PROCESS_CPUTIME_ID: 2,
  CLOCK_THREAD_CPUTIME_ID: 3,
  CLOCK_MONOTONIC_RAW: 4,
  CLOCK_REALTIME_COARSE: 5,
  CLOCK_MONOTONIC_COARSE: 6,
  CLOCK_BOOTTIME: 7,
  CLOCK_TAI: 11,
};

/** The sets by the name that specifications use, without regard to case. */
const SETS: Readonly<Record<string, NameSet>> = {
  open: OPEN,
  clone: CLONE,
  prot: PROT,
  map: MAP,
  at: AT,
  wait: WAIT,
  fcntl: FCNTL,
  clock: CLOCK,
  whence: { SEEK_SET: 0, SEEK_CUR: 1, SEEK_END: 2, SEEK_DATA: 3, SEEK_HOLE: 4 },
  access: { X_OK: 1, W_OK: 2, R_OK: 4 },
  pipe: { O_NONBLOCK: 0o4000, O_CLOEXEC: 0o2000000, O_DIRECT: 0o40000 },
  sigmask: { SIG_BLOCK: 0, SIG_UNBLOCK: 1, SIG_SETMASK: 2 },
  arch_prctl: {
    ARCH_SET_GS: 0x1001,
    ARCH_SET_FS: 0x1002,
    ARCH_GET_FS: 0x1003,
    ARCH_GET_GS: 0x1004,
    ARCH_GET_CPUID: 0x1011,
    ARCH_SET_CPUID: 0x1012,
  },
  madvise: { MADV_NORMAL: 0, MADV_RANDOM: 1, MADV_SEQUENTIAL: 2, MADV_WILLNEED: 3, MADV_DONTNEED: 4, MADV_FREE: 8 },
};

function find_set(name: string): NameSet {
  return SETS[name.toLowerCase()] ?? SETS[name.toLowerCase().replace(/_.*$/, '')] ?? {};
}

/** A bit mask in words: 'PROT_READ|PROT_WRITE', '0' for none, what has no name in hex. */
export function flag_names(set_name: string, value: number): string {
  const set = find_set(set_name);
  let left = value >>> 0;
  const words: string[] = [];
  for (const [name, bits] of Object.entries(set).reverse()) {
    if (bits !== 0 && (left & bits) >>> 0 === bits) {
      words.unshift(name);
      left = (left & ~bits) >>> 0;
    }
  }
  if (set === OPEN && (value & 3) === 0) words.unshift('O_RDONLY');
  if (left !== 0) words.push(`0x${left.toString(16)}`);
  return words.length === 0 ? '0' : words.join('|');
}

/** A value in words: 'SEEK_SET', or the number where it has no name. */
export function enum_name(set_name: string, value: number): string {
  for (const [name, number] of Object.entries(find_set(set_name))) if (number === value) return name;
  return String(value);
}
