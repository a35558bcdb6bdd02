/**
 * Regions that lead to each other as one module, a *unit*: between them neither a table nor links are looked at, no
 * instance is loaded, and each jump is foreseen on its own.
 *
 * A region has two functions in its unit. One has the shape of a handler; records lead to it, and it looks at pages and
 * fuel. It goes on to the other, as the unit's regions do, with the number of the entry instead of a record. Pages are
 * looked at for all regions of the unit together. Where they are not all in place, for instance because another program
 * has only some of the libraries, the function that the region had before goes on.
 */
import { Code, type FunctionRef } from '../../wasm/code.ts';
import { ModuleBuilder } from '../../wasm/module.ts';
import { CPU, HANDLER_PARAMS, OP, VCPU } from '../interp/dispatch.ts';
import { KIND_DEAD } from './flow.ts';
import type { Points } from './frame.ts';
import { Imports } from './imports.ts';
import { Prologue, push_entry } from './prologue.ts';
import type { Region } from './region.ts';
import {
  import_counters,
  import_memory,
  longest_of,
  type Neighbour,
  name_of,
  type Place,
  type Prepared,
  prepare,
  translator_of,
} from './translate.ts';

/** A region of a unit. */
export interface Member {
  readonly region: Region;
  readonly place: Place;
  /** Index in the table of the function that goes on where the unit cannot. */
  readonly alone: number;
  /** The members, by their places in the unit, that its indirect jumps have led to. */
  readonly targets: ReadonlySet<number>;
}

/** Where a unit is. */
export interface UnitPlace {
  /** The tag of its pages, as a region's. */
  readonly number: number;
  /** Slot of the first member. */
  readonly first_slot: number;
}

export interface UnitTranslation {
  readonly bytes: Uint8Array;
  /** By member. */
  readonly points: readonly Points[];
}

/** How a member is entered from the others, by address. */
function find_entries(members: readonly Prepared[], insides: readonly FunctionRef[]): Map<number, Neighbour> {
  const entries = new Map<number, Neighbour>();
  for (const [i, { region, flow }] of members.entries())
    for (const [entry, id] of region.entries.entries()) {
      const { rip } = region.blocks[id]!;
      const reads_flags = flow.kinds[id] !== KIND_DEAD;
      if (!entries.has(rip)) entries.set(rip, { f: insides[i] as FunctionRef, entry, reads_flags });
    }
  return entries;
}

/** The handler of a member: it leads to `inside`. */
function door(
  m: ModuleBuilder,
  imports: Imports,
  unit: number,
  prepared: Prepared,
  alone: number,
  inside: FunctionRef,
) {
  const { region, flow } = prepared;
  const c = new Code(HANDLER_PARAMS);
  const fuel = c.local('i32');
  const prologue = new Prologue(c, imports, c.local('v128'), region);
  prologue.look_at_pages(unit, () => prologue.pass_on(alone));
  prologue.take_fuel(fuel, longest_of(region, flow));
  push_entry(c, OP);
  c.get(CPU).get(VCPU).get(fuel).i32(0).return_call(inside);
  const f = m.declare_late(`enter_${name_of(region)}`, HANDLER_PARAMS, ['i32']);
  m.define(f, c);
  return f;
}

/**
 * The module of a unit, which exports the handlers of its members as `f0`, `f1` and so on. If it is `counted`, it imports
 * counters as regions do, with the member's place behind their names.
 */
export function translate_unit(members: readonly Member[], unit: UnitPlace, counted: boolean): UnitTranslation {
  const prepared = members.map(({ region, place }) => prepare(region, place));
  const m = new ModuleBuilder();
  import_memory(m);
  const counters = members.map((_, i) => (counted ? import_counters(m, String(i)) : null));
  const imports = new Imports(m);
  const insides = prepared.map(({ region }) => m.declare_late(name_of(region), HANDLER_PARAMS, ['i32']));
  const entries = find_entries(prepared, insides);
  const longest = Math.max(...prepared.map(({ region, flow }) => longest_of(region, flow)));
  const points: Points[] = [];
  const doors = prepared.map((one, i) => {
    const { targets, alone } = members[i]!;
    const code = new Code(HANDLER_PARAMS);
    const { translator, frame } = translator_of(one, code, imports, counters[i]!, {
      longest,
      at: (rip) => entries.get(rip) ?? null,
      targets: insides.map((f, to) => (to !== i && targets.has(to) ? f : null)),
      first_slot: unit.first_slot,
    });
    translator.run_inside();
    m.define(insides[i] as FunctionRef, code);
    points.push(frame.points);
    return door(m, imports, unit.number, one, alone, insides[i] as FunctionRef);
  });
  for (const [i, f] of doors.entries()) m.export_function(`f${i}`, f);
  return { bytes: m.build(), points };
}
