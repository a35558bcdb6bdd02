/**
 * What opening a device node, a FIFO or a socket node means: handlers registered at module load by the
 * file kinds that implement them.
 */
import { ENXIO } from '../abi/errno.ts';
import { dev_major, dev_minor, S_IFCHR, S_IFIFO, S_IFMT } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { File } from './file.layout.ts';
import { Inode } from './vfs.layout.ts';

/** Sets kind and object of the file; 0 or -errno. */
export type SpecialOpen = (inode: Ptr<'Inode'>, file: Ptr<'File'>) => number;

const by_number = new Map<number, SpecialOpen>();
const by_major = new Map<number, SpecialOpen>();
let fifo_open: SpecialOpen | undefined;

/** Installs the opener of a character device; minor -1 stands for every minor not installed by itself. */
export function register_character_device(major: number, minor: number, open: SpecialOpen): void {
  if (minor < 0) by_major.set(major, open);
  else by_number.set(major * 0x100000 + minor, open);
}

/** Installs the opener of a character device that is nothing but a file kind without state. */
export function register_stateless_device(major: number, minor: number, kind: number): void {
  register_character_device(major, minor, (_inode, file) => {
    File.kind.set(file, kind);
    return 0;
  });
}

/** Installs the opener of FIFOs. It may answer BLOCKED or RETRY from kernel/block.ts. */
export function register_fifo_open(open: SpecialOpen): void {
  fifo_open = open;
}

/** Opens a node that is neither a regular file nor a directory. -ENXIO when nothing answers to it. */
export function special_open(inode: Ptr<'Inode'>, file: Ptr<'File'>): number {
  const type = Inode.mode.get(inode) & S_IFMT;
  if (type === S_IFIFO) return fifo_open === undefined ? -ENXIO : fifo_open(inode, file);
  if (type !== S_IFCHR) return -ENXIO;
  const dev = Inode.rdev.get(inode);
  const open = by_number.get(dev_major(dev) * 0x100000 + dev_minor(dev)) ?? by_major.get(dev_major(dev));
  return open === undefined ? -ENXIO : open(inode, file);
}
