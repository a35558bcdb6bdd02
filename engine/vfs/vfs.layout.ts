/**
 * The name space's records: superblocks, inodes, dentries, mounts, and a task's place in them.
 *
 *   FsContext -> (Mount, Dentry) root and cwd
 *   Mount     -> the Dentry it covers, and the Dentry at its root in its SuperBlock
 *   Dentry    -> its parent, its Inode (0: the name is known to be absent)
 *   Inode     -> its SuperBlock, its Mapping (page cache), the file system's own record in `object`
 *
 * References: a dentry holds its parent and its inode; mounts, open files and FsContexts hold dentries
 * and mounts. A dentry without references stays in the cache on the LRU list until it is reclaimed.
 *
 * Locks: `tree` of a superblock serialises lookups in the file system and every change of its
 * directories (create, link, unlink, rename); a stacked file system's lock is taken before that of the
 * one below. `Inode.lock` guards one inode's attributes and writes to its data. The dcache lock guards
 * the hash, the child lists, names and parents. None of them is held while guest memory is touched.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';
import { WaitQueue } from '../heap/wait_queue.ts';

/** Superblock flags. */
export const SB_READ_ONLY = 1;
/** Names are not cached beyond their last reference (procfs). */
export const SB_NO_CACHE = 2;
/** Every lookup of a cached name asks the file system's `revalidate`. */
export const SB_REVALIDATE = 4;
/** Set once the file system is gone; its cached dentries are being dropped. */
export const SB_DYING = 8;

const s = layout('SuperBlock');
export const SuperBlock = s.done(
  {
    /** Mounts, plus the kernel's own holders. */
    refs: s.atomic(),
    /** Index into the table of file system types; see vfs/super.ts. */
    kind: s.u32('immutable'),
    flags: s.atomic(),
    /** st_dev, as make_dev makes it. */
    dev: s.u32('immutable'),
    magic: s.u32('immutable'),
    tree: s.embed(Lock),
    root: s.ptr('Dentry', 'immutable'),
    next: s.ptr('SuperBlock', 'guarded by mount'),
    /** Inodes alive. */
    inodes: s.atomic(),
    /** The file system's own record. */
    object: s.u32('immutable'),
    next_ino: s.f64('guarded by tree'),
    /** Name of the type for /proc/mounts, NUL-terminated. */
    type_name: s.bytes(16, 8, 'immutable'),
    /** Words for the file system's own use. */
    scratch: s.bytes(64, 8, 'guarded by tree'),
  },
  160,
);

/** Inode flags. */
/** A magic link: following it is the file system's `follow_link`, not a path. */
export const INODE_MAGIC_LINK = 1;
/** Removed from every directory, or never in one; freed with its last reference. */
export const INODE_ORPHAN = 2;
/** First flag that a file system may use for itself. */
export const INODE_PRIVATE_SHIFT = 8;

const i = layout('Inode');
export const Inode = i.done(
  {
    refs: i.atomic(),
    /** Index into inode_operations; see vfs/inode.ts. */
    kind: i.u32('immutable'),
    sb: i.ptr('SuperBlock', 'immutable'),
    flags: i.atomic(),
    lock: i.embed(Lock),
    /** File type and permission bits. */
    mode: i.u32('guarded by lock'),
    uid: i.u32('guarded by lock'),
    gid: i.u32('guarded by lock'),
    nlink: i.u32('guarded by lock'),
    /** Device number of a device node, as make_dev makes it. */
    rdev: i.u32('immutable'),
    /** Page cache of a regular file; 0 until first use. */
    mapping: i.ptr('Mapping', 'guarded by lock'),
    ino: i.f64('immutable'),
    /** Bytes. */
    size: i.f64('guarded by lock'),
    /** Storage in units of 512 bytes. */
    blocks: i.f64('guarded by lock'),
    /** Times since the epoch: whole seconds and nanoseconds. */
    atime: i.f64('guarded by lock'),
    mtime: i.f64('guarded by lock'),
    ctime: i.f64('guarded by lock'),
    btime: i.f64('immutable'),
    atime_ns: i.u32('guarded by lock'),
    mtime_ns: i.u32('guarded by lock'),
    ctime_ns: i.u32('guarded by lock'),
    btime_ns: i.u32('immutable'),
    /** Open writers, or minus the number of running executables (ETXTBSY). */
    writers: i.atomic(),
    /** The file system's own record or word. */
    object: i.u32('guarded by lock'),
    /** What an opened FIFO or a bound socket is connected to; owned by its file kind. */
    endpoint: i.u32('guarded by lock'),
    /** Record locks and flocks. */
    locks: i.ptr('FileLockContext', 'guarded by lock'),
    /** Inotify watches. */
    watchers: i.ptr('InotifyWatch', 'guarded by inotify_lock'),
    /** Extended attributes. */
    xattrs: i.ptr('Xattr', 'guarded by lock'),
    /** Inode hash: key within the superblock, and the chain. */
    hash_next: i.ptr('Inode', 'guarded by icache'),
    key_lo: i.u32('immutable'),
    key_hi: i.u32('immutable'),
    /** Words for the file system's own use. */
    scratch: i.bytes(32, 8, 'guarded by lock'),
  },
  208,
);

/** Dentry flags, guarded by the dcache lock unless set before publication. */
/** In the hash: found by lookups. */
export const DENTRY_HASHED = 1;
/** Something is mounted here, in some mount. */
export const DENTRY_MOUNTED = 2;
/** On the LRU list. */
export const DENTRY_LRU = 4;
/** Looked up since the reclaimer last came by. */
export const DENTRY_REFERENCED = 8;
/** The file system holds a reference, because the dentry itself is the directory entry. */
export const DENTRY_PINNED = 16;
/** Hides a name of the lower layer. */
export const DENTRY_WHITEOUT = 32;
/** On its parent's child list. */
export const DENTRY_CHILD = 64;

export const DENTRY_INLINE_NAME = 36;

const d = layout('Dentry');
export const Dentry = d.done(
  {
    refs: d.atomic(),
    flags: d.atomic(),
    sb: d.ptr('SuperBlock', 'immutable'),
    /** Itself for a root. */
    parent: d.ptr('Dentry', 'guarded by dcache'),
    /** 0: negative. Changed only under the superblock's tree lock and the dcache lock. */
    inode: d.ptr('Inode', 'guarded by dcache'),
    hash: d.u32('guarded by dcache'),
    hash_next: d.ptr('Dentry', 'guarded by dcache'),
    first_child: d.ptr('Dentry', 'guarded by dcache'),
    last_child: d.ptr('Dentry', 'guarded by dcache'),
    next_sibling: d.ptr('Dentry', 'guarded by dcache'),
    prev_sibling: d.ptr('Dentry', 'guarded by dcache'),
    lru_next: d.ptr('Dentry', 'guarded by dcache'),
    lru_prev: d.ptr('Dentry', 'guarded by dcache'),
    /** Position in the directory, rising with insertion: the getdents cookie. */
    cookie: d.f64('guarded by dcache'),
    /** Cookie for the next child. */
    next_cookie: d.f64('guarded by dcache'),
    name_length: d.u32('guarded by dcache'),
    /** Outside the record when the name is longer than DENTRY_INLINE_NAME. */
    long_name: d.ptr('LongName', 'guarded by dcache'),
    inline_name: d.bytes(DENTRY_INLINE_NAME, 4, 'guarded by dcache'),
  },
  128,
);

const n = layout('LongName');
export const LongName = n.done({ bytes: n.bytes(256, 8, 'immutable') }, 256);

/** Mount flags. */
export const MOUNT_READ_ONLY = 1;
export const MOUNT_NOSUID = 2;
export const MOUNT_NODEV = 4;
export const MOUNT_NOEXEC = 8;
export const MOUNT_NOATIME = 16;
/** No longer in the mount tree. */
export const MOUNT_DETACHED = 32;

const m = layout('Mount');
export const Mount = m.done(
  {
    refs: m.atomic(),
    id: m.u32('immutable'),
    flags: m.atomic(),
    /** 0 for the root mount. */
    parent: m.ptr('Mount', 'guarded by mount'),
    /** The covered dentry, in `parent`. */
    mountpoint: m.ptr('Dentry', 'guarded by mount'),
    root: m.ptr('Dentry', 'immutable'),
    sb: m.ptr('SuperBlock', 'immutable'),
    next: m.ptr('Mount', 'guarded by mount'),
    prev: m.ptr('Mount', 'guarded by mount'),
    /** Device name for /proc/mounts, NUL-terminated and cut to fit. */
    source: m.bytes(64, 4, 'immutable'),
  },
  104,
);

const c = layout('FsContext');
export const FsContext = c.done(
  {
    refs: c.atomic(),
    umask: c.u32('guarded by lock'),
    lock: c.embed(Lock),
    root_mount: c.ptr('Mount', 'guarded by lock'),
    root_dentry: c.ptr('Dentry', 'guarded by lock'),
    cwd_mount: c.ptr('Mount', 'guarded by lock'),
    cwd_dentry: c.ptr('Dentry', 'guarded by lock'),
  },
  32,
);

const r = layout('VfsRoot');
export const VfsRoot = r.done(
  {
    mount_lock: r.embed(Lock),
    dcache_lock: r.embed(Lock),
    icache_lock: r.embed(Lock),
    /** Pages of dentry hash buckets; see dcache.ts. */
    dentry_hash: r.bytes(16 * 4, 4, 'immutable'),
    inode_hash: r.bytes(4 * 4, 4, 'immutable'),
    /** Rise with each change of the buckets: a reset looks at their pages then (snapshot/parts.ts). */
    dentry_hash_changes: r.u32('guarded by dcache_lock'),
    inode_hash_changes: r.u32('guarded by icache_lock'),
    lru_head: r.ptr('Dentry', 'guarded by dcache_lock'),
    lru_tail: r.ptr('Dentry', 'guarded by dcache_lock'),
    lru_count: r.u32('guarded by dcache_lock'),
    /** Unreferenced dentries kept at most. */
    lru_limit: r.u32('immutable'),
    mounts_head: r.ptr('Mount', 'guarded by mount_lock'),
    mounts_tail: r.ptr('Mount', 'guarded by mount_lock'),
    root_mount: r.ptr('Mount', 'guarded by mount_lock'),
    superblocks: r.ptr('SuperBlock', 'guarded by mount_lock'),
    next_mount_id: r.u32('guarded by mount_lock'),
    next_minor: r.u32('guarded by mount_lock'),
    /** Rises with each change of the mount tree (poll on /proc/mounts). */
    mount_events: r.atomic(),
    /** Woken with each of them. */
    mount_queue: r.embed(WaitQueue),
    /** Inotify watches alive. */
    watches: r.atomic(),
    /** The mount of memfds, which is in no tree; 0 until first use. */
    memfd_mount: r.atomic(),
    /** The bytes "..". */
    dots: r.bytes(8, 8, 'immutable'),
  },
  208,
);
