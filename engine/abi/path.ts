/** Flags and limits of the calls that work on paths (include/uapi/linux/openat2.h, fs.h, falloc.h, limits.h). */
/** The bit that O_TMPFILE adds to O_DIRECTORY. */
export const O_TMPFILE_BIT = 0o20000000;
/** Every flag that open(2) knows; openat2(2) refuses others, the older calls ignore them. */
export const VALID_OPEN_FLAGS = 0o37777703;
export const AT_STATX_SYNC_TYPE = 0x6000;

export const RESOLVE_NO_XDEV = 1;
export const RESOLVE_NO_MAGICLINKS = 2;
export const RESOLVE_NO_SYMLINKS = 4;
export const RESOLVE_BENEATH = 8;
export const RESOLVE_IN_ROOT = 16;
export const RESOLVE_CACHED = 32;
export const RESOLVE_VALID = 63;

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const FALLOC_FL_COLLAPSE_RANGE = 8;
export const FALLOC_FL_ZERO_RANGE = 16;
export const FALLOC_FL_INSERT_RANGE = 32;
export const FALLOC_FL_UNSHARE_RANGE = 64;
export const FALLOC_FL_WRITE_ZEROES = 128;

export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export const PATH_MAX = 4096;
export const NAME_MAX = 255;
/** Symbolic links followed in one path resolution (path_resolution(7)). */
export const MAXSYMLINKS = 40;
