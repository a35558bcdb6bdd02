/**
 * The host's files in an operation that fault injection has chosen: a disk that does not answer. Handles are still
 * closed.
 */
import { EIO } from '../../abi/errno.ts';
import type { HostFiles } from './host_files.ts';

const fail = (): number => -EIO;

/** Every operation of `files` failing with EIO. */
export function failing_files(files: HostFiles): HostFiles {
  return {
    by_path: files.by_path,
    close: (handle) => files.close(handle),
    is_kernel_filesystem: (at) => files.is_kernel_filesystem(at),
    open_root: fail,
    open_directory: fail,
    open_file: fail,
    create_file: fail,
    stat: fail,
    stat_directory: fail,
    read_link: fail,
    list: fail,
    read: fail,
    write: fail,
    truncate: fail,
    sync: fail,
    make_directory: fail,
    make_link: fail,
    hard_link: fail,
    remove: fail,
    rename: fail,
    change_mode: fail,
    change_owner: fail,
    change_times: fail,
  };
}
