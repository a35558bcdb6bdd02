/** /proc/PID/mounts and mountinfo: the mount tree (proc_pid_mountinfo(5)). */
import { dev_major, dev_minor } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_length, bytes_read } from '../../heap/bytes.ts';
import { d_path } from '../../vfs/d_path.ts';
import { mounts_each } from '../../vfs/mount.ts';
import { vfs_root } from '../../vfs/root.ts';
import {
  MOUNT_NOATIME,
  MOUNT_NODEV,
  MOUNT_NOEXEC,
  MOUNT_NOSUID,
  MOUNT_READ_ONLY,
  Mount,
  SuperBlock,
  VfsRoot,
} from '../../vfs/vfs.layout.ts';
import { with_page } from './subject.ts';

/** Spaces and the like are written in octal. */
function escaped(text: string): string {
  return text.replace(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function mount_point(mount: Ptr<'Mount'>): string {
  return with_page('?', (page) => {
    const length = d_path(0 as Ptr<'FsContext'>, mount, Mount.root.get(mount), page, 4096);
    return length < 0 ? '?' : escaped(bytes_read(page, length));
  });
}

function options(mount: Ptr<'Mount'>): string {
  const flags = Mount.flags.load(mount);
  const names = [(flags & MOUNT_READ_ONLY) !== 0 ? 'ro' : 'rw'];
  if ((flags & MOUNT_NOSUID) !== 0) names.push('nosuid');
  if ((flags & MOUNT_NODEV) !== 0) names.push('nodev');
  if ((flags & MOUNT_NOEXEC) !== 0) names.push('noexec');
  names.push((flags & MOUNT_NOATIME) !== 0 ? 'noatime' : 'relatime');
  return names.join(',');
}

function text_at(address: number, limit: number): string {
  return bytes_read(address, bytes_length(address, limit));
}

function source_of(mount: Ptr<'Mount'>): string {
  return escaped(text_at(Mount.source.at(mount), 64)) || 'none';
}

function type_of(mount: Ptr<'Mount'>): string {
  return text_at(SuperBlock.type_name.at(Mount.sb.get(mount)), 16);
}

/** Both files can be polled for changes of the mount tree (proc_pid_mounts(5)). */
export const MOUNT_CHANGES = {
  count: (): number => VfsRoot.mount_events.load(vfs_root()),
  queue: (): Ptr<'WaitQueue'> => VfsRoot.mount_queue.at(vfs_root()),
};

/** Lines of /proc/mounts. */
export function mounts(): string {
  let out = '';
  mounts_each((mount) => {
    out += `${source_of(mount)} ${mount_point(mount)} ${type_of(mount)} ${options(mount)} 0 0\n`;
  });
  return out;
}

/** Lines of mountinfo. */
export function mountinfo(): string {
  let out = '';
  mounts_each((mount) => {
    const parent = Mount.parent.get(mount);
    const dev = SuperBlock.dev.get(Mount.sb.get(mount));
    const ids = `${Mount.id.get(mount)} ${parent === 0 ? 0 : Mount.id.get(parent)}`;
    const place = `${dev_major(dev)}:${dev_minor(dev)} / ${mount_point(mount)}`;
    out += `${ids} ${place} ${options(mount)} - ${type_of(mount)} ${source_of(mount)} rw\n`;
  });
  return out;
}
