/**
 * The names in /dev: what udev and devtmpfs would make. The file system is a memory one that the caller
 * has mounted; device nodes reach their drivers by number (vfs/device.ts).
 */
import { ENOMEM } from '../../abi/errno.ts';
import { make_dev, S_IFCHR } from '../../abi/stat.ts';
import { bytes_write } from '../../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { U8 } from '../../heap/memory.ts';
import { vfs_mkdir, vfs_mknod, vfs_symlink } from '../../vfs/namei.ts';
import type { PathContext } from '../../vfs/path.ts';
import { FULL_MINOR, MEMORY_MAJOR, NULL_MINOR, RANDOM_MINOR, URANDOM_MINOR, ZERO_MINOR } from './memory_devices.ts';

/** Numbers of the terminal devices: /dev/tty, /dev/console, /dev/ptmx. */
export const TTY_MAJOR = 5;
export const TTY_MINOR = 0;
export const CONSOLE_MINOR = 1;
export const PTMX_MINOR = 2;

const NODES: readonly (readonly [string, number, number])[] = [
  ['null', MEMORY_MAJOR, NULL_MINOR],
  ['zero', MEMORY_MAJOR, ZERO_MINOR],
  ['full', MEMORY_MAJOR, FULL_MINOR],
  ['random', MEMORY_MAJOR, RANDOM_MINOR],
  ['urandom', MEMORY_MAJOR, URANDOM_MINOR],
  ['tty', TTY_MAJOR, TTY_MINOR],
  ['console', TTY_MAJOR, CONSOLE_MINOR],
  ['ptmx', TTY_MAJOR, PTMX_MINOR],
];

const LINKS: readonly (readonly [string, string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
];

const DIRECTORIES: readonly (readonly [string, number])[] = [
  ['shm', 0o1777],
  ['pts', 0o755],
];

/**
 * Makes the nodes, links and directories below `where` ("/dev"), on behalf of `context`: 0 or -errno.
 * The umask is the caller's business; the modes given here are final.
 */
export function populate_dev(context: PathContext, where: string): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const path = (name: string): number => {
    U8[page + bytes_write(page, `${where}/${name}`)] = 0;
    return page;
  };
  let result = 0;
  for (const [name, major, minor] of NODES)
    if (result === 0) result = vfs_mknod(context, path(name), S_IFCHR | 0o666, make_dev(major, minor));
  for (const [name, mode] of DIRECTORIES) if (result === 0) result = vfs_mkdir(context, path(name), mode);
  for (const [name, target] of LINKS) {
    if (result !== 0) break;
    const at = page + 2048;
    const length = bytes_write(at, target);
    result = vfs_symlink(context, path(name), at, length);
  }
  heap_page_free(page);
  return result;
}
