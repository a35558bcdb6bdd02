/**
 * The file tree of a machine as it boots: the root, the machine's own /proc, /sys, /dev and /tmp, and
 * the volumes.
 */
import { EEXIST, EINVAL, ENOMEM } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_write } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U8 } from '../heap/memory.ts';
import { credentials_create, credentials_put } from '../kernel/credentials.ts';
import { fs_context_create, fs_context_put } from '../vfs/fs_context.ts';
import { mount_attach, mount_detach } from '../vfs/mount.ts';
import { vfs_mkdir } from '../vfs/namei.ts';
import { LOOKUP_DIRECTORY, LOOKUP_FOLLOW, PathContext, path_walk } from '../vfs/path.ts';
import { PathRef } from '../vfs/path_ref.ts';
import { vfs_root } from '../vfs/root.ts';
import { filesystem_types, sb_put } from '../vfs/super.ts';
import { MOUNT_READ_ONLY, SuperBlock, VfsRoot } from '../vfs/vfs.layout.ts';
import './all.ts';
import { populate_dev } from './dev/populate.ts';
import { host_create_super } from './host/host_fs.ts';
import { memfd_unmount } from './memfd/memfd.ts';
import { overlay_create } from './overlay/overlay.ts';
import { tmpfs_create } from './tmpfs/memory_super.ts';

type S = Ptr<'SuperBlock'>;

/** A directory of the host that is seen, and written, in the guest. */
export interface Volume {
  /** Host path and guest path, one character a byte. */
  readonly host: string;
  readonly guest: string;
  readonly read_only: boolean;
}

export interface BootMounts {
  /** Host directory below the overlay; absent: an empty memory file system is the root. */
  readonly root?: string;
  readonly volumes?: readonly Volume[];
  /** Limit of the overlay and of /tmp, in bytes each; absent: half of guest RAM. */
  readonly memory_limit?: number;
}

/** What could not be mounted, and why (-errno). */
export interface MountFailure {
  readonly path: string;
  readonly error: number;
}

const DEVICES = 'devtmpfs';

/** Own file systems of the machine: mounted where their type is registered. */
const OWN = [
  { path: '/proc', type: 'proc' },
  { path: '/sys', type: 'sysfs' },
  { path: '/sys/kernel/debug', type: 'debugfs' },
  { path: '/dev', type: DEVICES },
  { path: '/dev/pts', type: 'devpts' },
  { path: '/dev/shm', type: 'tmpfs' },
  { path: '/tmp', type: 'tmpfs' },
];

/** Mounts everything; the first failure ends it, and null is success. `vfs_boot` comes before. */
export function boot_mounts(options: BootMounts): MountFailure | null {
  const sb = root_super(options);
  if (sb < 0) return { path: options.root ?? '/', error: sb };
  const source = options.root === undefined ? 'tmpfs' : 'overlay';
  const none = 0 as Ptr<'Mount'>;
  const mount = mount_attach(sb as S, SuperBlock.root.get(sb as S), 0, none, 0 as Ptr<'Dentry'>, source);
  if (mount < 0) {
    sb_put(sb as S);
    return { path: '/', error: mount };
  }
  const context = new PathContext();
  context.credentials = credentials_create(0, 0);
  context.fs = fs_context_create(mount as Ptr<'Mount'>, SuperBlock.root.get(sb as S), 0);
  const failure = mount_own(context, options) ?? mount_volumes(context, options.volumes ?? []);
  fs_context_put(context.fs);
  credentials_put(context.credentials);
  return failure;
}

/** Unmounts the whole tree; open files keep what they use until they are closed. */
export function unmount_all(): void {
  const root = VfsRoot.root_mount.get(vfs_root());
  if (root !== 0) mount_detach(root, 0, true);
  memfd_unmount();
}

function root_super(options: BootMounts): number {
  const limits = options.memory_limit === undefined ? {} : { size: options.memory_limit };
  if (options.root === undefined) return tmpfs_create({ ...limits, mode: 0o755 });
  const lower = host_create_super(options.root, { writable: false, volatile: false, is_root: true });
  if (lower < 0) return lower;
  const sb = overlay_create(lower as S, limits);
  sb_put(lower as S);
  return sb;
}

function mount_own(context: PathContext, options: BootMounts): MountFailure | null {
  const limit = options.memory_limit === undefined ? '' : `size=${options.memory_limit}`;
  for (const { path, type } of OWN) {
    const found = filesystem_types().find(({ name, mount }) => name === type && mount !== undefined);
    if (found?.mount === undefined && type !== DEVICES) continue;
    const made = make_directories(context, path);
    if (made !== 0) return { path, error: made };
    const sb =
      found?.mount === undefined
        ? tmpfs_create({ mode: 0o755 }, DEVICES)
        : found.mount(type, 0, type === 'tmpfs' ? limit : '');
    let error = sb < 0 ? sb : attach(context, path, sb as S, type, 0);
    if (error === 0 && type === DEVICES) error = populate_dev(context, path);
    if (error !== 0) return { path, error };
  }
  return null;
}

function mount_volumes(context: PathContext, volumes: readonly Volume[]): MountFailure | null {
  for (const { host, guest, read_only } of volumes) {
    if (!guest.startsWith('/')) return { path: guest, error: -EINVAL };
    const made = make_directories(context, guest);
    if (made !== 0) return { path: guest, error: made };
    const sb = host_create_super(host, { writable: !read_only, volatile: true, is_root: false });
    if (sb < 0) return { path: host, error: sb };
    const error = attach(context, guest, sb as S, host, read_only ? MOUNT_READ_ONLY : 0);
    if (error !== 0) return { path: guest, error };
  }
  return null;
}

/** Mounts a superblock (reference taken over) on a directory. */
function attach(context: PathContext, path: string, sb: S, source: string, flags: number): number {
  const at = new PathRef();
  let result = with_path(path, (address) => path_walk(context, address, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, at));
  if (result === 0) result = mount_attach(sb, SuperBlock.root.get(sb), flags, at.mount, at.dentry, source);
  at.put();
  if (result < 0) sb_put(sb);
  return Math.min(result, 0);
}

/** Makes a directory and those above it, as `mkdir -p`. 0 or -errno. */
function make_directories(context: PathContext, path: string): number {
  for (let end = path.indexOf('/', 1); ; end = path.indexOf('/', end + 1)) {
    const prefix = end < 0 ? path : path.slice(0, end);
    const made = with_path(prefix, (address) => vfs_mkdir(context, address, 0o755));
    if (made !== 0 && made !== -EEXIST) return made;
    if (end < 0) return 0;
  }
}

function with_path(path: string, use: (address: number) => number): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const length = Math.min(path.length, 4095);
  U8[page + bytes_write(page, path.slice(0, length))] = 0;
  const result = use(page);
  heap_page_free(page);
  return result;
}
