/** Flags of mount(2), umount2(2) and statfs(2), and file system magics (include/uapi/linux/mount.h, magic.h). */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_SYNCHRONOUS = 16;
export const MS_REMOUNT = 32;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_SILENT = 32768;
export const MS_UNBINDABLE = 1 << 17;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;
export const MS_RELATIME = 1 << 21;
export const MS_STRICTATIME = 1 << 24;
export const MS_MGC_MASK = 0xffff0000;
export const MS_MGC_VALUE = 0xc0ed0000;

export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const MNT_EXPIRE = 4;
export const UMOUNT_NOFOLLOW = 8;

export const TMPFS_MAGIC = 0x01021994;
export const OVERLAYFS_MAGIC = 0x794c7630;
export const PROC_MAGIC = 0x9fa0;
export const DEBUGFS_MAGIC = 0x64626720;
export const SYSFS_MAGIC = 0x62656572;
export const DEVPTS_MAGIC = 0x1cd1;
export const ANON_INODE_MAGIC = 0x09041934;
export const PIPEFS_MAGIC = 0x50495045;
export const SOCKFS_MAGIC = 0x534f434b;
export const PID_FS_MAGIC = 0x50494446;
/** Host files are shown as 9P's, the protocol such a gofer stands for. */
export const V9FS_MAGIC = 0x01021997;

export const ST_VALID = 0x20;
export const ST_RELATIME = 0x1000;
