/**
 * Differences from Linux that were looked at: they are the host's own, or what the machine is known not to do. A
 * difference that no rule here fits is a defect until somebody has looked at it.
 */
import type { Program } from '../prog/model.ts';
import type { Difference } from './compare.ts';

export interface KnownDifference {
  /** Why it is so. */
  readonly reason: string;
  /** The description's name, whole. */
  readonly name: RegExp;
  /** What is written differently, whole; default: it is the result. */
  readonly field?: RegExp;
  /** What Linux answers or writes, and what the machine does, whole; default anything. */
  readonly native?: RegExp;
  readonly ours?: RegExp;
  /** What else must hold of the program and its call at `index`. */
  readonly where?: (program: Program, index: number) => boolean;
}

const CREATED_WITHOUT_INODE = 'sockets and anonymous files have no inode of their own in the machine';

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    reason:
      "a tmpfs counts a directory's size by its entries, 20 bytes each; ours has no size, as a directory has no data",
    name: /stat|lstat|fstat|newfstatat|statx/,
    field: /.*\.(st_size|stx_size)/,
    ours: /0+/,
  },
  {
    reason: `${CREATED_WITHOUT_INODE}: they have no attributes, and which error says so is another one`,
    name: /f(set|get|list|remove)xattr/,
    ours: /-EOPNOTSUPP/,
  },
  {
    reason: `${CREATED_WITHOUT_INODE}: Linux refuses to change them since 6.16, and did not before`,
    name: /fchmod|fchown|fchownat|fchmodat2/,
    native: /-(EOPNOTSUPP|EPERM)/,
    ours: /0/,
  },
  { reason: `${CREATED_WITHOUT_INODE}, nor a file system`, name: /fstatfs/, native: /0/, ours: /-EINVAL/ },
  {
    reason: 'since 6.9 pidfds are files of a file system of their own, with positions but without reading and writing',
    name: /p(read|write)(64|v|v2)/,
    native: /-EINVAL/,
    ours: /-ESPIPE/,
  },
  {
    reason: 'PIDFD_THREAD (0x80) is not supported: see the row of pidfd_open',
    name: /pidfd_open/,
    native: /\d+/,
    ours: /-EINVAL/,
  },
  {
    reason: 'a host without a real-time clock has no alarm clocks (CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM)',
    name: /clock_gettime|clock_getres|clock_nanosleep|timer_create/,
    native: /-(EINVAL|EOPNOTSUPP|EPERM)/,
    ours: /0|does not end/,
  },
  {
    reason:
      "which of a call's several errors is told: the name of an attribute is looked at before its file since 6.13",
    name: /[lf]?(set|get|list|remove)xattr/,
    native: /-(ERANGE|EFAULT)/,
    ours: /-E.*/,
  },
  {
    reason: 'no access control lists: there is none to remove, and none that could be set',
    name: /[lf]?(set|get|remove)xattr/,
    ours: /-EOPNOTSUPP/,
  },
  {
    reason: "which of a call's several errors is told: both names are copied before the first is looked up",
    name: /link|linkat|rename|renameat|renameat2|symlink|symlinkat/,
    native: /-E.*/,
    ours: /-(EFAULT|ENAMETOOLONG)/,
  },
  {
    reason: 'RENAME_WHITEOUT is not supported: see the row of renameat2',
    name: /renameat2/,
    ours: /-EINVAL/,
  },
  {
    reason: 'collapsing and inserting ranges is not supported, which is told before the type of file is looked at',
    name: /fallocate/,
    native: /-(ENODEV|EISDIR|EBADF|ESPIPE)/,
    ours: /-(EOPNOTSUPP|ESPIPE)/,
  },
  {
    reason: 'RWF_APPEND and RWF_NOAPPEND are not supported: see the row of pwritev2',
    name: /preadv2|pwritev2/,
    ours: /-EOPNOTSUPP/,
  },
  {
    reason: 'socket options that nothing here has a use for (BPF, timestamps, zero copy) are missing',
    name: /getsockopt|setsockopt/,
    native: /0|-(EOPNOTSUPP|EPERM|EINVAL)/,
    ours: /-(ENOPROTOOPT|EFAULT|EINVAL)/,
  },
  {
    reason: 'nobody can sleep on a CPU clock: see the row of clock_nanosleep',
    name: /clock_nanosleep/,
    native: /0|-EINVAL|does not end/,
    ours: /-EOPNOTSUPP/,
  },
  {
    reason: 'whether a file can be watched at all is looked at when it is added, not at each change',
    name: /epoll_ctl\$EPOLL_CTL_(MOD|DEL)/,
    native: /-EPERM/,
    ours: /-ENOENT/,
  },
  {
    reason:
      "which of a call's several errors is told: flags that contradict each other, or that an attribute is missing",
    name: /l?setxattr|fsetxattr|openat2/,
    native: /-(ENODATA|EINVAL)/,
    ours: /-(EINVAL|EAGAIN)/,
  },
  {
    reason: 'a transfer of no bytes ends before Linux looks whether the file can be spliced',
    name: /sendfile/,
    native: /0/,
    ours: /-EINVAL/,
  },
  {
    reason: 'a datagram socket that was shut down without a peer has nothing to read in Linux; here it is at its end',
    name: /recvfrom|recvmsg/,
    native: /-EAGAIN/,
    ours: /0/,
  },
  {
    reason: 'the machine has a processor without CPUID faulting; whether the host has it is up to the host',
    name: /arch_prctl/,
    native: /\d+/,
    ours: /-ENODEV/,
  },
  {
    reason: 'newer kernels store the length of a name before they find that the name cannot be stored',
    name: /getsockname|getpeername|accept4?|recvfrom/,
    field: /length/,
  },
  {
    reason: "which of a call's several errors is told: a task that is not there, or a signal that there is not",
    name: /tkill|tgkill/,
    native: /-ESRCH/,
    ours: /-EINVAL/,
  },
  {
    reason: 'pseudo file systems are noexec in new kernels, which is looked at before whether a file can be mapped',
    name: /mmap|mmap\$file/,
    native: /-EPERM/,
    ours: /-ENODEV/,
  },
];

/** The rule that the difference fits. */
export function known_difference(
  difference: Difference,
  program: Program,
  rules: readonly KnownDifference[] = KNOWN_DIFFERENCES,
): KnownDifference | undefined {
  return rules.find(
    ({ name, field, native, ours, where }) =>
      whole(name, difference.name) &&
      whole(field ?? /(?:)/, difference.field) &&
      whole(native, difference.native) &&
      whole(ours, difference.ours) &&
      (where === undefined || where(program, difference.call)),
  );
}

function whole(pattern: RegExp | undefined, text: string): boolean {
  return pattern === undefined || new RegExp(`^(?:${pattern.source})$`).test(text);
}
