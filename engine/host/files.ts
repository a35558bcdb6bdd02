/**
 * Files of the host through node:fs: the far end of the gofer's protocol (engine/fs/host/host_files.ts).
 *
 * On Linux every call names a file as /proc/self/fd/HANDLE/NAME: relative to an open directory, one
 * component, so that no rename or symbolic link elsewhere on the host can lead outside. Directories and
 * files whose attributes change are opened with O_PATH and O_NOFOLLOW first. On other hosts names are
 * joined to the directory's path, and a symbolic link in last position is refused.
 */
import fs from 'node:fs';
import * as errno from '../abi/errno.ts';
import { dev_major, dev_minor } from '../abi/stat.ts';
import type { HostDirectory, HostEntry, HostFiles, HostStatus } from '../fs/host/host_files.ts';
import { U8 } from '../heap/memory.ts';
import { handle_close, handle_opened } from './handles.ts';

const LINUX = process.platform === 'linux';
const O_PATH = LINUX ? 0o10000000 : 0;
const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
const O_NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0;
const O_DIRECTORY = fs.constants.O_DIRECTORY ?? 0;
const O_NONBLOCK = fs.constants.O_NONBLOCK ?? 0;
const O_NOCTTY = fs.constants.O_NOCTTY ?? 0;

/** Magics of file systems that show a kernel's own state. */
const KERNEL_FILESYSTEMS = new Set([
  0x9fa0, 0x62656572, 0x1cd1, 0x64626720, 0x74726163, 0x27e0eb, 0x63677270, 0xcafe4a11, 0x73636673, 0x19800202,
  0x6165676c, 0xde5e81e4,
]);

const numbers = new Map<string, number>(Object.entries(errno));

/** Linux's number for whatever node:fs threw, negated. */
function failure(error: unknown): number {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'EMFILE') return -errno.ENFILE;
  if (code === 'ERR_INVALID_ARG_VALUE') return -errno.EINVAL;
  return -(numbers.get(code) ?? errno.EIO);
}

function attempt(call: () => number): number {
  try {
    return call();
  } catch (error) {
    return failure(error);
  }
}

function path_of(at: HostDirectory, name: Uint8Array): Buffer {
  if (LINUX) return Buffer.concat([Buffer.from(`/proc/self/fd/${at.handle}/`), name]);
  return Buffer.concat([at.path, Buffer.from('/'), name]);
}

function directory_path(at: HostDirectory): Buffer {
  return LINUX ? Buffer.from(`/proc/self/fd/${at.handle}/.`) : Buffer.from(at.path);
}

const MARKS = Buffer.from('./');

/** Refuses what is not one plain component: the kernel never sends such names, and the gofer does not trust it. */
function checked(name: Uint8Array): boolean {
  if (name.length === 0 || name.length > 255) return false;
  if (name.includes(MARKS[1] as number) || name.includes(0)) return false;
  const dot = MARKS[0] as number;
  return !(name[0] === dot && (name.length === 1 || (name.length === 2 && name[1] === dot)));
}

/** Runs a call on a checked component. */
function on_name(at: HostDirectory, name: Uint8Array, call: (path: Buffer) => number): number {
  if (!checked(name)) return -errno.EINVAL;
  return attempt(() => call(path_of(at, name)));
}

/** Runs a call on the file itself, reached without following a link: through an O_PATH handle on Linux. */
function on_file(at: HostDirectory, name: Uint8Array, call: (path: Buffer | string) => void): number {
  return on_name(at, name, (path) => {
    if (!LINUX) {
      if (fs.lstatSync(path).isSymbolicLink()) return -errno.EOPNOTSUPP;
      call(path);
      return 0;
    }
    const handle = fs.openSync(path, O_PATH | O_NOFOLLOW);
    try {
      if (fs.fstatSync(handle).isSymbolicLink()) return -errno.EOPNOTSUPP;
      call(`/proc/self/fd/${handle}`);
    } finally {
      fs.closeSync(handle);
    }
    return 0;
  });
}

const BILLION = 1_000_000_000n;

function fill(st: fs.BigIntStats, out: HostStatus): void {
  const rdev = Number(st.rdev);
  out.dev = Number(st.dev);
  out.ino = Number(st.ino);
  out.mode = Number(st.mode);
  out.nlink = Number(st.nlink);
  out.uid = Number(st.uid);
  out.gid = Number(st.gid);
  out.rdev_major = dev_major(rdev_kernel(rdev));
  out.rdev_minor = dev_minor(rdev_kernel(rdev));
  out.size = Number(st.size);
  out.blocks = Number(st.blocks);
  out.atime = Number(st.atimeNs / BILLION);
  out.atime_ns = Number(st.atimeNs % BILLION);
  out.mtime = Number(st.mtimeNs / BILLION);
  out.mtime_ns = Number(st.mtimeNs % BILLION);
  out.ctime = Number(st.ctimeNs / BILLION);
  out.ctime_ns = Number(st.ctimeNs % BILLION);
  out.btime = Number(st.birthtimeNs / BILLION);
  out.btime_ns = Number(st.birthtimeNs % BILLION);
}

/** The kernel's form of the C library's 64-bit dev_t. */
function rdev_kernel(dev: number): number {
  const high = Math.floor(dev / 4294967296);
  const low = dev >>> 0;
  const major = ((low >>> 8) & 0xfff) | (high & 0xfffff000);
  const minor = (low & 0xff) | ((low >>> 12) & 0xfff00);
  return ((major << 20) | minor) >>> 0;
}

function stat_path(path: Buffer, out: HostStatus): number {
  // No exception is made for an absent name: lookups of those are frequent.
  const st = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (st === undefined) return -errno.ENOENT;
  fill(st, out);
  return 0;
}

function type_of(entry: fs.Dirent<Buffer>): number {
  if (entry.isFile()) return 8;
  if (entry.isDirectory()) return 4;
  if (entry.isSymbolicLink()) return 10;
  if (entry.isFIFO()) return 1;
  if (entry.isSocket()) return 12;
  if (entry.isCharacterDevice()) return 2;
  return entry.isBlockDevice() ? 6 : 0;
}

function list_directory(at: HostDirectory): HostEntry[] {
  const entries: HostEntry[] = [];
  const options = { withFileTypes: true, encoding: 'buffer' } as const;
  const names = fs.readdirSync(directory_path(at), options) as unknown as fs.Dirent<Buffer>[];
  for (const entry of names) {
    if (!checked(entry.name)) continue;
    const st = fs.lstatSync(path_of(at, entry.name), { bigint: true, throwIfNoEntry: false });
    if (st === undefined) continue;
    entries.push({ name: entry.name, type: type_of(entry), dev: Number(st.dev), ino: Number(st.ino) });
  }
  return entries;
}

/** A piece of machine memory as node:fs takes it. */
function view(address: number, length: number): Uint8Array {
  return U8.subarray(address, address + length);
}

/** The host's files through node:fs. One for each thread; it keeps no state. */
export const node_files: HostFiles = {
  by_path: !LINUX,
  open_root: (path) => attempt(() => (LINUX ? open(Buffer.from(path), O_PATH | O_DIRECTORY) : root_token(path))),
  open_directory: (at, name) => on_name(at, name, (path) => open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)),
  open_file: (at, name, write) =>
    on_name(at, name, (path) => open_regular(path, (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)),
  create_file: (at, name, mode) =>
    on_name(at, name, (path) => open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode)),
  close: (handle) => {
    attempt(() => {
      if (handle < ROOT_TOKEN) handle_close(handle);
      return 0;
    });
  },
  stat: (at, name, out) => on_name(at, name, (path) => stat_path(path, out)),
  stat_directory: (at, out) => attempt(() => stat_path(directory_path(at), out)),
  is_kernel_filesystem: (at) =>
    attempt(() => (KERNEL_FILESYSTEMS.has(fs.statfsSync(directory_path(at)).type) ? 1 : 0)) === 1,
  read_link(at, name) {
    if (!checked(name)) return -errno.EINVAL;
    try {
      return fs.readlinkSync(path_of(at, name), { encoding: 'buffer' });
    } catch (error) {
      return failure(error);
    }
  },
  list(at) {
    try {
      return list_directory(at);
    } catch (error) {
      return failure(error);
    }
  },
  read: (handle, position, target, length) =>
    attempt(() => fs.readSync(handle, view(target, length), 0, length, position)),
  write: (handle, position, source, length) =>
    attempt(() => fs.writeSync(handle, view(source, length), 0, length, position)),
  truncate: (handle, size) => attempt(() => done(fs.ftruncateSync(handle, size))),
  sync: (handle) => attempt(() => done(fs.fsyncSync(handle))),
  make_directory: (at, name, mode) => on_name(at, name, (path) => done(fs.mkdirSync(path, { mode }))),
  make_link: (at, name, target) => on_name(at, name, (path) => done(fs.symlinkSync(Buffer.from(target), path))),
  hard_link: (from, from_name, to, to_name) =>
    on_name(from, from_name, (path) => on_name(to, to_name, (target) => done(fs.linkSync(path, target)))),
  remove: (at, name, directory) =>
    on_name(at, name, (path) => done(directory ? fs.rmdirSync(path) : fs.unlinkSync(path))),
  rename: (from, from_name, to, to_name) =>
    on_name(from, from_name, (path) => on_name(to, to_name, (target) => done(fs.renameSync(path, target)))),
  change_mode: (at, name, mode) => on_file(at, name, (path) => fs.chmodSync(path, mode)),
  change_owner: (at, name, uid, gid) => on_name(at, name, (path) => done(fs.lchownSync(path, uid, gid))),
  change_times: (at, name, atime, mtime) => on_name(at, name, (path) => done(fs.lutimesSync(path, atime, mtime))),
};

function done(_nothing: unknown): number {
  return 0;
}

/** Opens a descriptor of the machine's. */
function open(path: Buffer, flags: number, mode?: number): number {
  return handle_opened(fs.openSync(path, flags, mode));
}

const ROOT_TOKEN = 0x7fff_0000;

/** Where directories go by path, a root's handle only says that it is there. */
function root_token(path: Uint8Array): number {
  return fs.statSync(Buffer.from(path)).isDirectory() ? ROOT_TOKEN : -errno.ENOTDIR;
}

/** Opens a regular file only: opening a device or a FIFO could do something to it. */
function open_regular(path: Buffer, flags: number): number {
  if (!fs.lstatSync(path).isFile()) return -errno.ENXIO;
  const handle = open(path, flags);
  if (handle < 0 || fs.fstatSync(handle).isFile()) return handle;
  handle_close(handle);
  return -errno.ENXIO;
}
