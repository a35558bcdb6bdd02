/** File types, mode bits and directory entry types (include/uapi/linux/stat.h, dirent). */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
export const S_IXGRP = 0o010;
/** Bits that chmod(2) changes. */
export const S_IALLUGO = 0o7777;

/** The d_type of a directory entry is the file type shifted. */
export const DT_SHIFT = 12;
export const DT_UNKNOWN = 0;
export const DT_DIR = 4;
export const DT_LNK = 10;

/** Mask bits of statx(2). */
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;
export const STATX_MNT_ID = 0x1000;
export const STATX_RESERVED = 0x8000_0000;
export const STATX_ATTR_MOUNT_ROOT = 0x2000;

export const STAT_SIZE = 144;
export const STATX_SIZE = 256;
export const STATFS_SIZE = 120;

/** utimensat(2): special values of tv_nsec. */
export const UTIME_NOW = 0x3fff_ffff;
export const UTIME_OMIT = 0x3fff_fffe;

/** A device number as the kernel keeps it: major above 20 bits of minor. */
export function make_dev(major: number, minor: number): number {
  return ((major << 20) | minor) >>> 0;
}
export function dev_major(dev: number): number {
  return dev >>> 20;
}
export function dev_minor(dev: number): number {
  return dev & 0xfffff;
}
/** The 32-bit encoding of st_dev and st_rdev (new_encode_dev). */
export function encode_dev(dev: number): number {
  const minor = dev & 0xfffff;
  return ((minor & 0xff) | ((dev >>> 20) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
/** The kernel's form of a device number from mknod(2). */
export function decode_dev(dev: number): number {
  return make_dev((dev >>> 8) & 0xfff, (dev & 0xff) | ((dev >>> 12) & 0xfff00));
}
