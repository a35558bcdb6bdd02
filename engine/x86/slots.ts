/**
 * How the decoder's lookup tables are indexed.
 *
 * Each opcode of each map has a node, an index into LOOKUP and a set of SELECT_* bits that say what besides the opcode
 * tells its rows apart. From there on:
 *
 *   index = base + (prefix * forms + form) * 2 + W
 *
 * with the factors that are not selected left out. The form of a ModRM byte is its reg field for memory; for registers
 * 8 + reg, or 8 + (reg * 8 + rm) where rm selects too.
 */

/** Bits of NODE_SELECT. */
export const SELECT_MODRM = 1; // the instruction has a ModRM byte
export const SELECT_FORM = 2; // and it selects the row
export const SELECT_RM = 4; // with its rm field, too
export const SELECT_PREFIX = 8;
export const SELECT_W = 16;

/** Number of ModRM forms, without and with SELECT_RM. */
export const FORMS = 16;
export const FORMS_RM = 72;

/** The slot, counted from the node's base, of an instruction with this prefix, ModRM byte and REX.W. */
export function slot_of(select: number, prefix: number, modrm: number, w: number): number {
  let slot = 0;
  let forms = 1;
  if ((select & SELECT_FORM) !== 0) {
    slot = (modrm >> 3) & 7;
    forms = FORMS;
    if ((select & SELECT_RM) !== 0) forms = FORMS_RM;
    if (modrm >= 0xc0) slot = forms === FORMS ? slot + 8 : modrm - 0xc0 + 8;
  }
  if ((select & SELECT_PREFIX) !== 0) slot += prefix * forms;
  return (select & SELECT_W) !== 0 ? slot * 2 + w : slot;
}
