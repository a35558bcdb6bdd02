/**
 * The decoder's lookup tables, built from the rows when the module loads.
 *
 * Each opcode of each map has a node, an index into LOOKUP and a set of SELECT_* bits that say what besides the opcode
 * tells its rows apart. From there on:
 *
 *   index = base + ((prefix * modrm_forms) + modrm_form) * 2 + W
 *
 * with the factors that are not selected left out. The form of a ModRM byte is its reg field for memory, and
 * 8 + (reg * 8 + rm) for registers. LOOKUP holds row ids; 0 is undefined.
 */
import { type Encoding, MODRM_ABSENT, MODRM_ANY, MODRM_MEMORY, PREFIX_ANY, parse_encoding } from './encoding.ts';
import { ROWS } from './table.ts';

/** Bits of NODE_SELECT. */
export const SELECT_MODRM = 1; // the instruction has a ModRM byte
export const SELECT_FORM = 2; // and it selects the row
export const SELECT_PREFIX = 4;
export const SELECT_W = 8;

/** Number of ModRM forms: eight memory, sixty-four register. */
export const FORMS = 72;

/** Parsed encodings by row id. Row 0 has none that means anything. */
export const ENCODINGS: readonly Encoding[] = ROWS.map(parse_encoding);

/** By map * 256 + opcode. */
export const NODE_SELECT = new Uint8Array(1024);
export const NODE_BASE = new Uint16Array(1024);

/** Row ids; see the head of this file. */
export const LOOKUP: Uint16Array = build();

function rows_by_node(): number[][] {
  const nodes: number[][] = [];
  for (let id = 1; id < ROWS.length; id++) {
    const e = ENCODINGS[id]!;
    const first = e.map * 256 + e.opcode;
    const last = e.plus_register ? first + 7 : first;
    for (let node = first; node <= last; node++) {
      const list = nodes[node];
      if (list === undefined) nodes[node] = [id];
      else list.push(id);
    }
  }
  return nodes;
}

function selection(ids: readonly number[]): number {
  let select = 0;
  for (let i = 0; i < ids.length; i++) {
    const e = ENCODINGS[ids[i]!]!;
    if (e.modrm !== MODRM_ABSENT || e.digit >= 0) select |= SELECT_MODRM;
    if (e.digit >= 0 || e.modrm > MODRM_ANY) select |= SELECT_FORM;
    if (e.prefix !== PREFIX_ANY) select |= SELECT_PREFIX;
    if (e.w >= 0) select |= SELECT_W;
  }
  return select;
}

/** More specific rows take their slots first; the others fill what is left. */
function specificity(id: number): number {
  const e = ENCODINGS[id]!;
  const register = e.plus_register ? 0 : 1; // 90 is nop before it is xchg
  return register + 2 * (+(e.prefix !== PREFIX_ANY) + 2 * (+(e.w >= 0) + 2 * (+(e.digit >= 0) + 2 * +(e.rm >= 0))));
}

function build(): Uint16Array {
  const nodes = rows_by_node();
  let size = 1; // slot 0: undefined, for opcodes without rows
  nodes.forEach((ids, node) => {
    const select = selection(ids);
    NODE_SELECT[node] = select;
    NODE_BASE[node] = size;
    size += slots(select);
  });
  const lookup = new Uint16Array(size);
  nodes.forEach((ids, node) => {
    if (ids.length > 1) ids.sort((a, b) => specificity(b) - specificity(a) || a - b);
    for (let i = 0; i < ids.length; i++) fill(lookup, node, ids[i]!);
  });
  return lookup;
}

function slots(select: number): number {
  const prefixes = select & SELECT_PREFIX ? 4 : 1;
  const forms = select & SELECT_FORM ? FORMS : 1;
  return prefixes * forms * (select & SELECT_W ? 2 : 1);
}

function fill(lookup: Uint16Array, node: number, id: number): void {
  const e = ENCODINGS[id]!;
  const select = NODE_SELECT[node]!;
  const base = NODE_BASE[node]!;
  const prefixes = select & SELECT_PREFIX ? 4 : 1;
  const forms = select & SELECT_FORM ? FORMS : 1;
  const widths = select & SELECT_W ? 2 : 1;
  for (let prefix = 0; prefix < prefixes; prefix++) {
    if (e.prefix !== PREFIX_ANY && e.prefix !== prefix) continue;
    for (let form = 0; form < forms; form++) {
      if (forms > 1 && !form_matches(e, form)) continue;
      for (let w = 0; w < widths; w++) {
        if (e.w >= 0 && e.w !== w) continue;
        const slot = base + (prefix * forms + form) * widths + w;
        if (lookup[slot] === 0) lookup[slot] = id;
      }
    }
  }
}

/** The slot of LOOKUP that a node's instruction with this prefix, ModRM byte and REX.W has. */
export function lookup_slot(node: number, prefix: number, modrm: number, w: number): number {
  const select = NODE_SELECT[node]!;
  let slot = 0;
  let forms = 1;
  if ((select & SELECT_FORM) !== 0) {
    slot = modrm >= 0xc0 ? modrm - 0xc0 + 8 : (modrm >> 3) & 7;
    forms = FORMS;
  }
  if ((select & SELECT_PREFIX) !== 0) slot += prefix * forms;
  if ((select & SELECT_W) !== 0) slot = slot * 2 + w;
  return NODE_BASE[node]! + slot;
}

function form_matches(e: Encoding, form: number): boolean {
  if (form < 8) return e.modrm !== MODRM_ABSENT && e.modrm <= MODRM_MEMORY && (e.digit < 0 || e.digit === form);
  if (e.modrm === MODRM_MEMORY) return false;
  const reg = (form - 8) >> 3;
  return (e.digit < 0 || e.digit === reg) && (e.rm < 0 || e.rm === (form & 7));
}
