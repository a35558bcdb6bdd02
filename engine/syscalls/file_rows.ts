/** The rows of every call that works on paths and regular files. */
import { ATTRIBUTE_ROWS } from './file_attributes.ts';
import { DIRECTORY_ROWS } from './file_dirs.ts';
import { MOUNT_ROWS } from './file_mount.ts';
import { NAME_ROWS } from './file_names.ts';
import { OPEN_ROWS } from './file_open.ts';
import { SPACE_ROWS } from './file_space.ts';
import { STAT_ROWS } from './file_stat.ts';
import { XATTR_ROWS } from './file_xattr.ts';
import type { SyscallRow } from './row.ts';

export const FILE_ROWS: readonly SyscallRow[] = [
  ...OPEN_ROWS,
  ...STAT_ROWS,
  ...NAME_ROWS,
  ...ATTRIBUTE_ROWS,
  ...DIRECTORY_ROWS,
  ...SPACE_ROWS,
  ...MOUNT_ROWS,
  ...XATTR_ROWS,
];
