/**
 * Page tables: a radix tree of frames, four levels of 1024 32-bit entries, over 47-bit user addresses.
 *
 *   index at level 3 (root): address bits 42-46 (5 bits), level 2: 32-41, level 1: 22-31, level 0: 12-21
 *
 * An entry holds the machine address of the next table or of the page's frame (4 KiB aligned) and, in
 * its low bits, the flags. Guest RAM lies within 4 GiB, so 20 bits of frame number are enough.
 * Entries are written under mm.lock and read by anyone (one aligned 32-bit load); an entry that takes a
 * right away is followed by a shoot-down.
 */
export const PTE_PRESENT = 1;
/** Stores may go through. Clear on copy-on-write and write-notify pages, whatever the VMA allows. */
export const PTE_WRITE = 2;
export const PTE_EXEC = 4;
export const PTE_ACCESSED = 8;
export const PTE_DIRTY = 16;
/** The frame is shared until the first write: a fault copies it. */
export const PTE_COW = 32;
/** How the page was counted in the resident set: neither bit means anonymous (or the zero frame). */
export const PTE_FILE = 64;
export const PTE_SHMEM = 128;
export const PTE_FLAGS = 0xfff;

export const PT_ENTRIES = 1024;
export const PT_LEVELS = 4;
/** First address that is not a user address (the last user page stays unmapped, as in Linux). */
export const TASK_SIZE = 0x7fff_ffff_f000;
