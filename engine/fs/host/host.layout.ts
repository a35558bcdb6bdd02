/**
 * Records of the host file system. An inode's HostNode says how to reach it again: its parent and name.
 * Handles are cached: those of directories and idle files in a ring that bounds their number.
 */
import { layout } from '../../heap/layout.ts';

export const HOST_INLINE_NAME = 44;
/** Nothing below it is shown: a kernel's own file system of the host. */
export const HOST_HIDDEN = 1;

const n = layout('HostNode');
export const HostNode = n.done(
  {
    /** Directory it was found in (referenced); 0 for the root. */
    parent: n.ptr('Inode', 'guarded by the tree lock'),
    /** Host handle plus one, 0 none. Files: for reading. */
    handle: n.u32('guarded by the gofer lock'),
    /** Handle plus one for writing (volumes). */
    write_handle: n.u32('guarded by the gofer lock'),
    /** Guest files that are open on it: its handles stay. */
    opens: n.u32('guarded by the tree lock'),
    /** Its place in the ring plus one, 0 none. */
    slot: n.u32('guarded by the gofer lock'),
    flags: n.u32('immutable'),
    name_length: n.u32('guarded by the tree lock'),
    long_name: n.ptr('HostLongName', 'guarded by the tree lock'),
    inline_name: n.bytes(HOST_INLINE_NAME, 4, 'guarded by the tree lock'),
  },
  80,
);

const l = layout('HostLongName');
export const HostLongName = l.done({ bytes: l.bytes(256, 8, 'immutable') }, 256);

/** Places in the ring: idle host handles of one superblock at most. */
export const HOST_RING = 256;
/** Host devices told apart within one superblock. */
export const HOST_DEVICES = 64;
/** Offsets in the superblock's info page. */
export const INFO_RING = 0;
export const INFO_DEVICES = 1024;
export const INFO_PATH = 2048;
/** Longest host path of a root. */
export const INFO_PATH_MAX = 2000;

const f = layout('HostFs');
/** In SuperBlock.scratch. */
export const HostFs = f.done(
  {
    /** Heap page: the ring of inodes, host device numbers, the root's path. */
    info: f.u32('immutable'),
    ring_next: f.u32('guarded by the gofer lock'),
    device_count: f.u32('guarded by the tree lock'),
    path_length: f.u32('immutable'),
    /** Others may change it: look again with each use. */
    changing: f.u32('immutable'),
    /** The machine's root: the host's /proc, /sys and /dev are not shown. */
    is_root: f.u32('immutable'),
    gofer_lock_state: f.bytes(8, 8, 'guarded by the gofer lock itself'),
  },
  32,
);
