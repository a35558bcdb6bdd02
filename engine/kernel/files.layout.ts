/**
 * Files: a descriptor table (Linux's struct files_struct), shared by the tasks cloned with CLONE_FILES.
 *
 * An entry is one word: 0 free, FD_RESERVED a descriptor promised but not filled yet, else the File
 * record's address with FD_CLOSE_ON_EXEC in its lowest bit. The first entries lie in the record; the
 * others in heap pages reached through a directory page of pairs (page address, entries in use).
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

/** Bits of an entry; File records are 16-byte aligned. */
export const FD_CLOSE_ON_EXEC = 1;
export const FD_RESERVED = 2;
export const FD_FLAGS = 15;

export const FD_INLINE = 64;
export const FD_PAGE_ENTRIES = 1024;
export const FD_DIRECTORY_ENTRIES = 512;
/** No descriptor is ever this large: /proc/sys/fs/nr_open. */
export const NR_OPEN = FD_DIRECTORY_ENTRIES * FD_PAGE_ENTRIES;

const l = layout('Files');
export const Files = l.done(
  {
    /** Tasks that share the table, and short-lived references of /proc readers. */
    refs: l.atomic(),
    /** No entry below this one is free. */
    next_fd: l.u32('guarded by lock'),
    lock: l.embed(Lock),
    /** One more than the highest entry ever used: bounds the sweeps. */
    end: l.u32('guarded by lock'),
    /** Entries in use. */
    count: l.u32('guarded by lock'),
    /** Directory page, or 0; never changes once set. */
    directory: l.u32('guarded by lock'),
    entries: l.bytes(FD_INLINE * 4, 4, 'guarded by lock'),
  },
  288,
);

export const HELD_INLINE = 4;
export const HELD_CHUNK = 60;

const h = layout('HeldFiles');
/** Further files that a task keeps referenced until its system call ends (poll of many descriptors). */
export const HeldFiles = h.done(
  {
    next: h.ptr('HeldFiles', 'owner'),
    count: h.u32('owner'),
    files: h.bytes(HELD_CHUNK * 4, 4, 'owner'),
  },
  248,
);
