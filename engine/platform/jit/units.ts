/**
 * The units of one vCPU (unit.ts): when they are made, and of which regions.
 *
 * A unit's regions keep the functions that they had before, and get them back when one of them goes. Its code has numbers
 * of its own, under which the points of its functions are known, and where the old functions lie in the table meanwhile.
 */
import type { Ptr } from '../../base/types.ts';
import { U16, U32 } from '../../heap/memory.ts';
import {
  JUMP_CACHE_ENTRY_SHIFT,
  LINKS_OFFSET,
  MAX_HANDLERS,
  MAX_LINKS,
  REGION_TAGS_OFFSET,
  SLOTS_OFFSET,
  Vcpu,
} from '../../machine/vcpu.layout.ts';
import { RECORD_HANDLER } from '../interp/record.ts';
import type { Points } from './frame.ts';
import { type Outline, region_of, size_of } from './outline.ts';
import type { Places } from './places.ts';
import { type Part, Transitions, type UnitLimits } from './transitions.ts';
import type { Place } from './translate.ts';
import { type Member, translate_unit, type UnitTranslation } from './unit.ts';

/**
 * With 64 regions of 400 instructions the loop of an interpreter has room with what it calls. Pages are looked at each
 * time that the vCPU comes to the unit from another address space.
 */
const LIMITS: UnitLimits = { members: 64, instructions: 8000, pages: 128 };
/** Samples after which regions are put together. */
const SAMPLES = 256;
/**
 * Ways from region to region that a unit must have been in want of, for each of its instructions: what they could have
 * been cheaper by, some 10 ns each, is then what V8 takes to compile the instruction again. With 500,000 ways for each
 * region, whatever its size, mawk took a fifth more processor time in its first three seconds.
 */
const COST = 6000;
/** So often a unit's pages may not be in place before it is given up. */
const MAX_REFUSALS = 2000;
const NO_SLOT = 0xffff;

/** What a region has to do with units. */
export interface Candidate {
  readonly number: number;
  readonly outline: Outline;
  /** As it was translated alone. */
  readonly place: Place;
  readonly links: number;
  /** Its function outside of units. */
  readonly f: unknown;
  /** Size of its module. */
  readonly bytes: number;
  unit: Unit | null;
  /** It is left alone: pages of its unit were in places of their own again and again. */
  alone: boolean;
  /** Numbers of regions that it has led to. */
  readonly followers: Set<number>;
}

export interface Unit {
  readonly number: number;
  readonly members: readonly Candidate[];
  /** Numbers of the members' functions. */
  readonly numbers: readonly number[];
  readonly first_slot: number;
  readonly pages: ReadonlyMap<number, number>;
  readonly bytes: number;
  refusals: number;
}

/** What the cache of regions does for units. */
export interface UnitHost {
  readonly places: Places;
  candidate(number: number): Candidate | null;
  /** Whether there is room for so many bytes more. */
  has_room(bytes: number): boolean;
  /** Compiles and instantiates a unit of these; its exports. */
  compile(made: UnitTranslation, members: readonly Candidate[]): Readonly<Record<string, unknown>>;
  readonly counted: boolean;
  /** The code with a number gives up at these points, for a region. */
  note_points(number: number, points: Points | null, region: Candidate | null): void;
}

/** When units are made; for tests. */
export interface UnitOptions {
  /** Ways from region to region between two samples, 1 to NEVER. */
  readonly period: number;
  readonly samples?: number;
  /** Ways that a unit must have been in want of, for each of its instructions. */
  readonly cost?: number;
  /** So often a unit's pages may not be in place before it is given up. */
  readonly refusals?: number;
}

/** A period that no program lives to see the end of: there are no units. */
export const NEVER = 0x7fff_ffff;

/** A prime number: samples are not in step with a loop. */
export const DEFAULT_UNITS: UnitOptions = { period: 4093 };

export class Units {
  private readonly vcpu: Ptr<'Vcpu'>;
  private readonly host: UnitHost;
  private readonly period: number;
  private readonly cost: number;
  private readonly refusals: number;
  private readonly transitions = new Transitions();
  private readonly wanted: number;
  /** Samples until regions are put together. */
  private left: number;
  private readonly by_number = new Map<number, Unit>();
  /** Units that are to be given up, once nobody is about to go on with what their regions had before. */
  private readonly refusing = new Set<Unit>();
  private readonly free_slots: number[] = [];
  private slots = 0;
  /** Whose each link is. */
  private readonly link_owners = new Uint16Array(MAX_LINKS);
  /** Bytes of the units' modules. */
  bytes = 0;

  constructor(vcpu: Ptr<'Vcpu'>, host: UnitHost, { period, samples, cost, refusals }: UnitOptions) {
    this.vcpu = vcpu;
    this.host = host;
    this.period = period;
    this.cost = cost ?? COST;
    this.refusals = refusals ?? MAX_REFUSALS;
    this.wanted = samples ?? SAMPLES;
    this.left = this.wanted;
    Vcpu.chain_countdown.set(vcpu, period);
    U16.fill(NO_SLOT, (vcpu + SLOTS_OFFSET) >>> 1, ((vcpu + SLOTS_OFFSET) >>> 1) + MAX_HANDLERS);
  }

  /** How many there are. */
  get count(): number {
    return this.by_number.size;
  }

  /** The links from `first` on are a region's. */
  note_links(first: number, count: number, region: number): void {
    this.link_owners.fill(region, first, first + count);
  }

  /** A way out with the link `link` as its first leads to the record `op`, a region's. */
  sample(link: number, op: number): void {
    Vcpu.chain_countdown.set(this.vcpu, this.period);
    this.give_up();
    const from = this.link_owners[link] as number;
    this.transitions.note(from, this.number_at(op));
    if (--this.left > 0) return;
    this.left = this.wanted;
    this.put_together();
  }

  private number_at(op: number): number {
    return (U16[(op + RECORD_HANDLER) >>> 1] as number) - this.host.places.first_handler;
  }

  private put_together(): void {
    const clusters = this.transitions.clusters((number) => this.part(number), LIMITS);
    for (const { members, weight } of clusters) {
      const candidates = members.map((number) => this.host.candidate(number) as Candidate);
      const instructions = candidates.reduce((sum, { outline }) => sum + size_of(outline), 0);
      if (weight * this.period < instructions * this.cost || !this.has_room(candidates)) continue;
      this.unite(candidates);
      this.transitions.forget(members);
    }
  }

  /** Its code is a little longer in a unit. */
  private has_room(candidates: readonly Candidate[]): boolean {
    const bytes = candidates.reduce((sum, candidate) => sum + candidate.bytes, 0);
    return this.host.places.has_room(candidates.length + 1) && this.host.has_room(2 * bytes);
  }

  /** A region with the others of its unit. */
  private part(number: number): Part | null {
    const candidate = this.host.candidate(number);
    if (candidate === null) return null;
    const members = candidate.unit?.members ?? [candidate];
    if (candidate.alone) return null;
    return {
      members: members.map((member) => member.number),
      instructions: members.reduce((sum, { outline }) => sum + size_of(outline), 0),
      pages: new Set(members.flatMap(({ outline }) => [...outline.pages.keys()])),
    };
  }

  /** Notes what a region's links say that it has led to. */
  private follow_links({ place, links, followers }: Candidate): void {
    const tag = Vcpu.code_tag.get(this.vcpu);
    for (let link = place.first_link; link < place.first_link + links; link++) {
      const at = (this.vcpu + LINKS_OFFSET + (link << JUMP_CACHE_ENTRY_SHIFT)) >>> 2;
      if (U32[at + 3] === tag) followers.add(this.number_at(U32[at + 2] as number));
    }
  }

  /** Makes a unit of regions, unless the code of one is no longer there. */
  private unite(candidates: readonly Candidate[]): void {
    const { places } = this.host;
    const regions = candidates.map(({ outline }) => region_of(outline));
    for (const candidate of candidates) {
      this.follow_links(candidate);
      for (const to of this.transitions.followers(candidate.number)) candidate.followers.add(to);
      if (candidate.unit !== null) this.dissolve(candidate.unit);
    }
    if (regions.includes(null)) return;
    const number = places.take();
    const numbers = candidates.map(() => places.take());
    const first_slot = this.free_slots.pop() ?? this.slots++ * LIMITS.members;
    const indices = new Map(candidates.map((candidate, i) => [candidate.number, i]));
    const members = candidates.map(
      ({ place, followers }, i): Member => ({
        region: regions[i]!,
        place: { ...place, number: numbers[i] as number },
        alone: places.handler_of(numbers[i] as number),
        targets: new Set([...followers].map((to) => indices.get(to) ?? -1)),
      }),
    );
    const made = translate_unit(members, { number, first_slot }, this.host.counted);
    const exports = this.host.compile(made, candidates);
    const pages = new Map(candidates.flatMap(({ outline }) => [...outline.pages]));
    const unit = { number, members: candidates, numbers, first_slot, pages, bytes: made.bytes.length, refusals: 0 };
    this.install(unit, made.points, exports);
  }

  private install(unit: Unit, points: readonly Points[], exports: Readonly<Record<string, unknown>>): void {
    this.by_number.set(unit.number, unit);
    this.bytes += unit.bytes;
    U32[(this.vcpu + REGION_TAGS_OFFSET) / 4 + unit.number] = 0;
    for (const [i, member] of unit.members.entries()) {
      const number = unit.numbers[i] as number;
      member.unit = unit;
      this.host.note_points(number, points[i] as Points, member);
      this.host.places.put(number, member.f);
      this.host.places.put(member.number, exports[`f${i}`]);
      this.set_slot(member.number, unit.first_slot + i);
    }
  }

  private set_slot(number: number, slot: number): void {
    U16[((this.vcpu + SLOTS_OFFSET) >>> 1) + this.host.places.handler_of(number)] = slot;
  }

  /** Gives the regions of a unit the functions back that they had before. */
  dissolve(unit: Unit): void {
    const { places } = this.host;
    if (!this.by_number.delete(unit.number)) return;
    this.bytes -= unit.bytes;
    for (const [i, member] of unit.members.entries()) {
      member.unit = null;
      places.put(member.number, member.f);
      this.set_slot(member.number, NO_SLOT);
      this.host.note_points(unit.numbers[i] as number, null, null);
      places.release(unit.numbers[i] as number);
    }
    places.release(unit.number);
    this.free_slots.push(unit.first_slot);
  }

  /** The pages of the unit with a number. */
  pages_of(number: number): ReadonlyMap<number, number> | null {
    return this.by_number.get(number)?.pages ?? null;
  }

  /** The pages of a unit were not in place: it is to go if that happens often. */
  refused(number: number): void {
    const unit = this.by_number.get(number);
    if (unit !== undefined && ++unit.refusals >= this.refusals) this.refusing.add(unit);
  }

  /** Gives units up that refuse too often. None of their handlers is being run. */
  give_up(): void {
    for (const unit of this.refusing) {
      for (const member of unit.members) member.alone = true;
      this.dissolve(unit);
    }
    this.refusing.clear();
  }
}
