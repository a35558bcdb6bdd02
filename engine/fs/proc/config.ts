/**
 * /proc/config.gz: what of Linux's build options this kernel has, for programs that ask (ikconfig). The
 * stream is gzip (RFC 1952) with the text in one stored block (RFC 1951, 3.2.4).
 */

/** Options whose interface is here. What is not is left out, as by a kernel that is built without it. */
const OPTIONS: readonly string[] = [
  'X86',
  'X86_64',
  'SMP',
  'MMU',
  'SWAP=n',
  'SYSVIPC',
  'IKCONFIG',
  'IKCONFIG_PROC',
  'MULTIUSER',
  'POSIX_TIMERS',
  'FUTEX',
  'EPOLL',
  'SIGNALFD',
  'TIMERFD',
  'EVENTFD',
  'INOTIFY_USER',
  'ADVISE_SYSCALLS',
  'FILE_LOCKING',
  'MEMFD_CREATE',
  'PROC_FS',
  'PROC_SYSCTL',
  'SYSFS',
  'TMPFS',
  'TMPFS_XATTR',
  'DEVTMPFS',
  'OVERLAY_FS',
  'BINFMT_ELF',
  'BINFMT_SCRIPT',
  'COREDUMP=n',
  'MODULES=n',
  'NET=n',
  'BLOCK=n',
  'TIME_NS=n',
  'USER_NS=n',
  'DNOTIFY=n',
  'NUMA=n',
  'HUGETLBFS=n',
];

function config_text(): string {
  const lines = OPTIONS.map((option) =>
    option.endsWith('=n') ? `# CONFIG_${option.slice(0, -2)} is not set` : `CONFIG_${option}=y`,
  );
  return `${lines.join('\n')}\n`;
}

/** CRC-32 of a text with one character a byte (RFC 1952, 8). */
function crc32(text: string): number {
  let crc = -1;
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) !== 0 ? 0xedb8_8320 : 0);
  }
  return ~crc >>> 0;
}

function little_endian(value: number, bytes: number): string {
  let text = '';
  for (let i = 0; i < bytes; i++) text += String.fromCharCode((value >>> (8 * i)) & 0xff);
  return text;
}

/** The file's bytes, one character each. */
export function config_gz(): string {
  const text = config_text();
  const header = '\x1f\x8b\x08\0\0\0\0\0\0\xff';
  const block = `\x01${little_endian(text.length, 2)}${little_endian(~text.length, 2)}${text}`;
  return `${header}${block}${little_endian(crc32(text), 4)}${little_endian(text.length, 4)}`;
}
