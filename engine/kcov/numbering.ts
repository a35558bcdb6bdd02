/**
 * Program counters of the instrumented kernel. They lie in Linux's kernel text range, above 0xffffffff80000000, and
 * are passed around as their low 32 bits:
 *
 *     31 | 30 ......... 12 | 11 ............. 0
 *      1 | slot of the file | point in the file
 *
 * The slot is a hash of the file's path and the point a running number within the file, so that a file's numbers stay
 * the same from build to build while the file does.
 */

const SLOT_SHIFT = 12;
const SLOT_COUNT = 1 << 19;
/** Points of a file: its blocks count from 0, its comparisons from here. */
export const COMPARISONS_FROM = 2048;
export const POINT_MASK = (1 << SLOT_SHIFT) - 1;

/** The slot of a program counter's low word. */
export function slot_of_pc(pc: number): number {
  return (pc >>> SLOT_SHIFT) & (SLOT_COUNT - 1);
}

/** The low word, unsigned, of point `index` in the file of this slot. */
export function pc_of(slot: number, index: number): number {
  return (0x8000_0000 + slot * (POINT_MASK + 1) + index) >>> 0;
}

/** FNV-1a of a path. */
function hash(path: string): number {
  let value = 0x811c_9dc5;
  for (const byte of new TextEncoder().encode(path)) value = Math.imul(value ^ byte, 0x0100_0193);
  return value >>> 0;
}

/**
 * A slot for each path. Where two hashes meet (one chance in 25 for 200 files), the path that sorts later takes the
 * next free slot: its numbers then depend on the other file's presence.
 */
export function assign_slots(paths: readonly string[]): Map<string, number> {
  const slots = new Map<string, number>();
  const taken = new Set<number>();
  for (const path of [...new Set(paths)].sort()) {
    let slot = hash(path) % SLOT_COUNT;
    // Slot 0 would begin at 0xffffffff80000000 itself.
    while (slot === 0 || taken.has(slot)) slot = (slot + 1) % SLOT_COUNT;
    taken.add(slot);
    slots.set(path, slot);
  }
  return slots;
}
