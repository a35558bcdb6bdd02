/**
 * The decoder's lookup tables (indexed as `slots.ts` says), built from the rows when the module loads: so no closures,
 * no sorting, few objects. The bundle has them ready-made (`bin/bake_tables.ts`).
 */
import { type Encoding, MODRM_ABSENT, MODRM_ANY, MODRM_MEMORY, MODRM_REGISTER, parse_encoding } from './encoding.ts';
import { FORMS, FORMS_RM, SELECT_FORM, SELECT_MODRM, SELECT_PREFIX, SELECT_RM, SELECT_W, slot_of } from './slots.ts';
import { ROWS } from './table.ts';

/** Parsed encodings by row id. Row 0 has none that means anything. */
export const ENCODINGS: readonly Encoding[] = ROWS.map(parse_encoding);

/** By map * 256 + opcode. */
export const NODE_SELECT = new Uint8Array(1024);
export const NODE_BASE = new Uint16Array(1024);

/** Row ids; 0 is undefined. */
export const LOOKUP: Uint16Array = build();

/** By row id: the prefix that is part of the opcode, or PREFIX_ANY. */
export const MANDATORY_PREFIX: Int8Array = Int8Array.from(ENCODINGS, (encoding) => encoding.prefix);

/** The slot of LOOKUP that a node's instruction with this prefix, ModRM byte and REX.W has. */
export function lookup_slot(node: number, prefix: number, modrm: number, w: number): number {
  return NODE_BASE[node]! + slot_of(NODE_SELECT[node]!, prefix, modrm, w);
}

function selection(e: Encoding): number {
  let select = e.prefix >= 0 ? SELECT_PREFIX : 0;
  if (e.w >= 0) select |= SELECT_W;
  if (e.modrm === MODRM_ABSENT) return select;
  select |= SELECT_MODRM;
  if (e.rm >= 0) return select | SELECT_FORM | SELECT_RM;
  return e.digit >= 0 || e.modrm !== MODRM_ANY ? select | SELECT_FORM : select;
}

/** More specific rows take their slots first; the others fill what is left. 0-31. */
function specificity(e: Encoding): number {
  let value = e.plus_register ? 0 : 1; // 90 is nop before it is xchg
  if (e.prefix >= 0) value += 2;
  if (e.w >= 0) value += 4;
  if (e.digit >= 0) value += 8;
  return e.rm >= 0 ? value + 16 : value;
}

function build(): Uint16Array {
  const by_specificity: number[][] = [];
  for (let n = 0; n < 32; n++) by_specificity.push([]);
  for (let id = 1; id < ROWS.length; id++) {
    const e = ENCODINGS[id]!;
    const select = selection(e);
    const node = e.map * 256 + e.opcode;
    for (let n = e.plus_register ? 7 : 0; n >= 0; n--) NODE_SELECT[node + n]! |= select;
    by_specificity[specificity(e)]!.push(id);
  }
  let size = 1; // slot 0: undefined, for opcodes without rows
  for (let node = 0; node < 1024; node++) {
    const select = NODE_SELECT[node]!;
    NODE_BASE[node] = size;
    const forms = (select & SELECT_FORM) === 0 ? 1 : (select & SELECT_RM) === 0 ? FORMS : FORMS_RM;
    size += forms * ((select & SELECT_PREFIX) !== 0 ? 4 : 1) * ((select & SELECT_W) !== 0 ? 2 : 1);
  }
  const lookup = new Uint16Array(size);
  for (let n = 31; n >= 0; n--) {
    const ids = by_specificity[n]!;
    for (let i = 0; i < ids.length; i++) {
      const e = ENCODINGS[ids[i]!]!;
      for (let low = e.plus_register ? 7 : 0; low >= 0; low--) {
        fill(lookup, e.map * 256 + e.opcode + low, ids[i]!, e);
      }
    }
  }
  return lookup;
}

/** Enters a row for each prefix and W it takes. */
function fill(lookup: Uint16Array, node: number, id: number, e: Encoding): void {
  const select = NODE_SELECT[node]!;
  const last_prefix = e.prefix >= 0 ? e.prefix : (select & SELECT_PREFIX) !== 0 ? 3 : 0;
  const last_w = e.w >= 0 ? e.w : (select & SELECT_W) !== 0 ? 1 : 0;
  for (let prefix = Math.max(e.prefix, 0); prefix <= last_prefix; prefix++) {
    for (let w = Math.max(e.w, 0); w <= last_w; w++) fill_forms(lookup, node, id, e, prefix, w);
  }
}

function fill_forms(lookup: Uint16Array, node: number, id: number, e: Encoding, prefix: number, w: number): void {
  const select = NODE_SELECT[node]!;
  if ((select & SELECT_FORM) === 0) {
    const slot = lookup_slot(node, prefix, 0, w);
    if (lookup[slot] === 0) lookup[slot] = id;
    return;
  }
  const first_rm = Math.max(e.rm, 0);
  const last_rm = e.rm >= 0 ? e.rm : (select & SELECT_RM) !== 0 ? 7 : 0;
  const last_reg = e.digit >= 0 ? e.digit : 7;
  for (let reg = Math.max(e.digit, 0); reg <= last_reg; reg++) {
    if (e.modrm !== MODRM_REGISTER) {
      const slot = lookup_slot(node, prefix, reg << 3, w);
      if (lookup[slot] === 0) lookup[slot] = id;
    }
    if (e.modrm === MODRM_MEMORY) continue;
    for (let rm = first_rm; rm <= last_rm; rm++) {
      const slot = lookup_slot(node, prefix, 0xc0 | (reg << 3) | rm, w);
      if (lookup[slot] === 0) lookup[slot] = id;
    }
  }
}
