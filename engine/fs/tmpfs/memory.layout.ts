/**
 * Records of the memory file system, kept in the scratch words of Inode and SuperBlock.
 *
 * With a lower layer (fs/overlay) an inode may stand for one below: its data is read from there, page by
 * page, until it is changed here.
 */
import { layout } from '../../heap/layout.ts';

/** Changed here: the inode must outlive its dentries, because the lower layer does not know the change. */
export const MEMORY_MODIFIED = 1;

const n = layout('MemoryNode');
/** In Inode.scratch. */
export const MemoryNode = n.done(
  {
    /** The inode below that this one stands for (referenced), or 0. */
    lower: n.ptr('Inode', 'immutable'),
    state: n.u32('guarded by the tree lock'),
    /** Bytes from here on are not read from the lower inode: its size, less what was truncated. */
    lower_limit: n.f64('guarded by the inode lock'),
    /** Next modified inode of the superblock. */
    next_modified: n.ptr('Inode', 'guarded by the tree lock'),
    prev_modified: n.ptr('Inode', 'guarded by the tree lock'),
    /** Pages that count against the limit. */
    charged: n.u32('guarded by the mapping lock'),
  },
  32,
);

const f = layout('MemoryFs');
/** In SuperBlock.scratch. */
export const MemoryFs = f.done(
  {
    pages_used: f.atomic(),
    /** Limit in pages. */
    pages_max: f.u32('guarded by the tree lock'),
    inodes_max: f.u32('guarded by the tree lock'),
    /** Inodes made here. */
    inodes_used: f.atomic(),
    /** The file system below, referenced; 0 for a tmpfs. */
    lower_sb: f.ptr('SuperBlock', 'immutable'),
    first_modified: f.ptr('Inode', 'guarded by the tree lock'),
  },
  24,
);

const s = layout('LinkTarget');
/** Target of a short symbolic link. */
export const LinkTarget = s.done({ bytes: s.bytes(64, 8, 'immutable') }, 64);
const t = layout('LongLinkTarget');
export const LongLinkTarget = t.done({ bytes: t.bytes(512, 8, 'immutable') }, 512);
