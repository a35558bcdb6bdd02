/**
 * The gofer's protocol: every call on host files the guest kernel can make. One name at a time, relative
 * to an open directory, and no symbolic link is ever followed by the host.
 *
 * Handles are host descriptors, usable from every thread of the process. The implementation is in
 * engine/host (DESIGN D7) and is installed on each thread. Names are bytes. Results are 0 or a count, or
 * -errno in Linux's numbers whatever the host is; nothing throws.
 */

import { fault_now, faults_countdown } from '../../heap/fault_injection.ts';
import { failing_files } from './failing_files.ts';

/** A directory on the host: an open handle, or (where the host cannot open relative to one) its path. */
export interface HostDirectory {
  handle: number;
  path: Uint8Array;
}

/** Attributes of a host file. Reused: filled by the calls below. */
export class HostStatus {
  dev = 0;
  ino = 0;
  mode = 0;
  nlink = 0;
  uid = 0;
  gid = 0;
  rdev_major = 0;
  rdev_minor = 0;
  size = 0;
  blocks = 0;
  atime = 0;
  atime_ns = 0;
  mtime = 0;
  mtime_ns = 0;
  ctime = 0;
  ctime_ns = 0;
  btime = 0;
  btime_ns = 0;
}

/** An entry of a host directory. */
export interface HostEntry {
  name: Uint8Array;
  /** DT_*. */
  type: number;
  dev: number;
  ino: number;
}

export interface HostFiles {
  /** Handles cannot be opened relative to others on this host: directories are given by path. */
  readonly by_path: boolean;
  /** Opens a root directory by host path: a handle, or -errno. */
  open_root(path: Uint8Array): number;
  /** Opens a directory below another: a handle. */
  open_directory(at: HostDirectory, name: Uint8Array): number;
  /** Opens a regular file for reading, or for reading and writing: a handle. */
  open_file(at: HostDirectory, name: Uint8Array, write: boolean): number;
  /** Makes a regular file that must not exist: a handle open for reading and writing. */
  create_file(at: HostDirectory, name: Uint8Array, mode: number): number;
  close(handle: number): void;
  /** Attributes of a name, of a link itself. */
  stat(at: HostDirectory, name: Uint8Array, out: HostStatus): number;
  /** Attributes of the directory itself. */
  stat_directory(at: HostDirectory, out: HostStatus): number;
  /** Whether a directory belongs to a kernel's own file system (proc, sysfs, cgroup ...). */
  is_kernel_filesystem(at: HostDirectory): boolean;
  read_link(at: HostDirectory, name: Uint8Array): Uint8Array | number;
  list(at: HostDirectory): HostEntry[] | number;
  /** To and from machine memory. */
  read(handle: number, position: number, target: number, length: number): number;
  write(handle: number, position: number, source: number, length: number): number;
  truncate(handle: number, size: number): number;
  sync(handle: number): number;
  make_directory(at: HostDirectory, name: Uint8Array, mode: number): number;
  make_link(at: HostDirectory, name: Uint8Array, target: Uint8Array): number;
  hard_link(from: HostDirectory, from_name: Uint8Array, to: HostDirectory, to_name: Uint8Array): number;
  remove(at: HostDirectory, name: Uint8Array, directory: boolean): number;
  rename(from: HostDirectory, from_name: Uint8Array, to: HostDirectory, to_name: Uint8Array): number;
  change_mode(at: HostDirectory, name: Uint8Array, mode: number): number;
  /** -1 leaves an id alone. */
  change_owner(at: HostDirectory, name: Uint8Array, uid: number, gid: number): number;
  /** Seconds since the epoch, with fractions. */
  change_times(at: HostDirectory, name: Uint8Array, atime: number, mtime: number): number;
}

let installed: HostFiles | null = null;

/** Installs this thread's way to the host's files; null for none. */
export function install_host_files(files: HostFiles | null): void {
  installed = files;
}

/** This thread's way to the host's files for one operation, or null. */
export function host_files(): HostFiles | null {
  if (faults_countdown !== 0 && installed !== null && fault_now()) return failing_files(installed);
  return installed;
}
