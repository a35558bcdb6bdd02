/**
 * A temporary directory of the host for tests of the host file system, removed at the end of the process.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ptr } from '../../engine/base/types.ts';
import { install_host_files } from '../../engine/fs/host/host_files.ts';
import { type HostOptions, host_create_super } from '../../engine/fs/host/host_fs.ts';
import { overlay_create } from '../../engine/fs/overlay/overlay.ts';
import { node_files } from '../../engine/host/files.ts';
import { sb_put } from '../../engine/vfs/super.ts';

const made: string[] = [];
process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** Makes an empty temporary directory. */
export function temporary_directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'tvisor-test-'));
  made.push(path);
  return path;
}

/** A superblock over a host directory. */
export function host_super(path: string, options: Partial<HostOptions> = {}): Ptr<'SuperBlock'> {
  install_host_files(node_files);
  const sb = host_create_super(path, { writable: false, volatile: false, is_root: false, ...options });
  if (sb < 0) throw new Error(`host_create_super: ${sb}`);
  return sb as Ptr<'SuperBlock'>;
}

/** An overlay over a host directory; the lower layer is referenced by it alone. */
export function overlay_super(path: string, size?: number): Ptr<'SuperBlock'> {
  const lower = host_super(path);
  const sb = overlay_create(lower, size === undefined ? {} : { size });
  sb_put(lower);
  if (sb < 0) throw new Error(`overlay_create: ${sb}`);
  return sb as Ptr<'SuperBlock'>;
}
