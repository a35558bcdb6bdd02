/**
 * The regions of one vCPU: making them, tying their entries to the interpreter's records, and forgetting them.
 *
 * A region belongs to frames at virtual pages, as decoded code does, and is found by every address space that maps them
 * so. Where it spans several pages, `validate` looks once for each state of an address space (Vcpu.code_tag) whether
 * all are in place.
 */
import type { Ptr } from '../../base/types.ts';
import { U8, U16, U32 } from '../../heap/memory.ts';
import { MAX_LINKS, MAX_REGIONS, REGION_TAGS_OFFSET, Vcpu } from '../../machine/vcpu.layout.ts';
import type { Assumption } from '../../x86/statement.ts';
import type { CodeCache, CodePage } from '../interp/cache.ts';
import {
  INFO_RETIRED_MASK,
  REGION_AGAIN,
  REGION_ASSUMED,
  REGION_CROSSED,
  REGION_FAULT,
  REGION_MISSED,
} from '../interp/leave.ts';
import { ENTRY_SWITCH, RECORD_ENTRY, RECORD_HANDLER, RECORD_HEAT } from '../interp/record.ts';
import type { PlatformStatistics } from '../platform.ts';
import type { Points } from './frame.ts';
import { REGION_LINKS } from './links.ts';
import { outline_of, size_of } from './outline.ts';
import { Places } from './places.ts';
import { build_region, type CodeView, type Region, type RegionLimits } from './region.ts';
import type { Run } from './runs.ts';
import { type Place, translate } from './translate.ts';
import type { UnitTranslation } from './unit.ts';
import { type Candidate, DEFAULT_UNITS, type UnitHost, type UnitOptions, Units } from './units.ts';

const PAGE = 4096;
/**
 * V8's optimising compiler takes more time for each instruction the larger a function is, and a way from region to
 * region costs 10 ns: with 2500 instructions the start of Python took a fifth more processor time, and no program less.
 */
const LIMITS: RegionLimits = { instructions: 400, most: INFO_RETIRED_MASK, pages: 48, entries: 250, separate: false };
/** So often a region grows by being made again with others in it. */
const MAX_GENERATION = 6;
/** The share of the branches that make an instruction hot, from which on code is warm. */
const TARGET_SHARE = 64;
/**
 * So often windows of a region may cross pages before it is made again without them, and places that is known of. Each
 * costs half a microsecond, and making a region again some milliseconds.
 */
const MAX_CROSSINGS = 4000;
const MAX_CROSSING_PLACES = 4096;
/**
 * So often the TLB may lack the page of an access before its region is made again with a call of the runtime there,
 * which costs a fifth of a way out and back, and in V8's optimising compiler as much time as a dozen instructions.
 */
const MAX_MISSES = 4000;
const MAX_MISSING_PLACES = 65536;
/** So often what a run assumes may not hold before its region is made again; places that is known of. */
const MAX_FAILURES = 500;
const MAX_DOUBTED_PLACES = 16384;
/** The share of either at which what else the region has of the kind is treated alike when it is made again. */
const OFTEN_SHARE = 8;
/** Bytes of modules and number of regions at which all are dropped. */
export const MAX_BYTES = 24 << 20;
export const REGIONS = Math.min(2000, MAX_REGIONS);

/** What a counted region has done: it adds to them itself. */
export interface RegionCounters {
  readonly entries: WebAssembly.Global;
  readonly instructions: WebAssembly.Global;
}

/** Who looks at regions while they are made. */
export interface RegionObserver {
  /** Regions shall count what they do. */
  readonly counted: boolean;
  /** The host's clock, ns. */
  now(): number;
  /**
   * A region was made within so many ns. `bytes` is its module. All is in place: requests of other vCPUs may be served.
   */
  made(region: Region, bytes: Uint8Array, ns: number, counters: RegionCounters | null): void;
}

/** What a region's module is instantiated with. */
export type RegionImports = Readonly<Record<'env' | 'runtime' | 'helpers', Readonly<Record<string, unknown>>>>;

/** How eagerly code is translated. */
export interface JitOptions {
  /** Branches to an instruction that make it hot; 1 to 65535. */
  readonly heat: number;
  /** Translates whatever is looked up, at first sight: for tests. */
  readonly eager: boolean;
  /** Regions and bytes of their modules at which all are dropped. */
  readonly regions?: number;
  readonly bytes?: number;
  /** Instructions of a region at most, even in the middle of a block. */
  readonly instructions?: number;
  /** How often the TLB may lack the page of an access before the region resolves it in place; 0: it always does. */
  readonly misses?: number;
  /** Compiles the module of a region or unit; V8's constructor by default. */
  readonly compile?: (bytes: Uint8Array<ArrayBuffer>, is_unit: boolean) => WebAssembly.Module;
  /** When regions become units. */
  readonly units?: UnitOptions;
  /** Looks at the regions that are made. */
  readonly observer?: RegionObserver;
}

/** A translated region and what it depends on. */
interface Translated extends Candidate {
  /** Addresses of its entries, by number. */
  readonly entries: readonly number[];
  readonly generation: number;
  readonly counters: RegionCounters | null;
  /** How often its windows have crossed pages. */
  crossings: number;
  /** How often the TLB did not have what an instruction wanted, by its address. */
  readonly misses: Map<number, number>;
  /** How often what a run assumes did not hold. */
  readonly failures: Map<Run, number>;
}

/** An entry that a page has. */
interface Entry {
  /** An indirect jump has led there. */
  switch: boolean;
  readonly region: Translated;
  readonly number: number;
}

function key_of(frame: number, virtual_page: number): string {
  return `${frame}:${virtual_page}`;
}

function new_counters(): RegionCounters {
  const zero = (): WebAssembly.Global => new WebAssembly.Global({ value: 'i64', mutable: true }, 0n);
  return { entries: zero(), instructions: zero() };
}

/** Counts one more of `key`; once they are `limit`, all that have come to a share of that, else none. */
function often<Key>(counts: Map<Key, number>, key: Key, limit: number): Key[] {
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  if (count < limit) return [];
  return [...counts].filter(([, other]) => other >= limit / OFTEN_SHARE).map(([counted]) => counted);
}

export class RegionCache {
  private readonly vcpu: Ptr<'Vcpu'>;
  private readonly cache: CodeCache;
  private readonly imports: RegionImports;
  private readonly heat: number;
  private readonly eager: boolean;
  private readonly observer: RegionObserver | null;
  private readonly compile: NonNullable<JitOptions['compile']>;
  private readonly limits: RegionLimits;
  private readonly max_regions: number;
  private readonly max_bytes: number;
  private readonly max_misses: number;
  private readonly places: Places;
  private readonly units: Units;
  /** By their numbers. */
  private readonly regions = new Map<number, Translated>();
  /** The regions of all numbers that code has: in a unit it has another one. */
  private readonly owners = new Map<number, Translated>();
  /** By number of the code; what is running looks its own up even if the region is gone. */
  private readonly points: Points[] = [];
  /** Entries by frame and virtual page, then by offset. */
  private readonly entries = new Map<string, Map<number, Entry>>();
  /** Regions by frame. */
  private readonly by_frame = new Map<number, Set<Translated>>();
  /** By virtual page, offsets of records that are, or were, marked ENTRY_SWITCH. */
  private readonly marks = new Map<number, Set<number>>();
  /** Handlers of patched records before. */
  private readonly originals = new Map<number, number>();
  /** Addresses of instructions whose windows have crossed pages more than a few times. */
  private readonly crossing = new Set<number>();
  /** Addresses of instructions whose accesses the TLB has lacked more than a few times. */
  private readonly missing = new Set<number>();
  /** What does not hold of arithmetic at an address. */
  private readonly doubted = new Map<number, Set<Assumption>>();
  /** What is assumed first. */
  private assumption: Run['assumption'] = 'noted';
  private bytes = 0;
  /** Links are given to one region after the other, round and round: who still uses an old one does no harm. */
  private next_link = 0;

  constructor(vcpu: Ptr<'Vcpu'>, cache: CodeCache, imports: RegionImports, options: JitOptions) {
    this.vcpu = vcpu;
    this.cache = cache;
    this.imports = imports;
    this.heat = options.heat;
    this.eager = options.eager;
    this.observer = options.observer ?? null;
    this.compile = options.compile ?? ((bytes) => new WebAssembly.Module(bytes));
    this.max_regions = Math.min(options.regions ?? REGIONS, MAX_REGIONS);
    this.max_bytes = options.bytes ?? MAX_BYTES;
    this.max_misses = options.misses ?? MAX_MISSES;
    const most = options.instructions ?? LIMITS.most;
    this.limits = { ...LIMITS, instructions: Math.min(most, LIMITS.instructions), most };
    this.places = new Places(imports.runtime.table as WebAssembly.Table);
    this.units = new Units(vcpu, this.unit_host(), options.units ?? DEFAULT_UNITS);
    cache.observer = {
      decoded: (page) => this.attach(page),
      dropped: () => {
        this.originals.clear();
        this.marks.clear();
      },
    };
  }

  /** Translates the code around an address, unless it is translated; `build_region` has the return address. */
  translate(rip: number, return_address: number): void {
    this.units.give_up();
    const page = this.cache.page_at(rip);
    if (page === null) return;
    const record = page.records[rip % PAGE] as number;
    if (record === 0 || this.originals.has(record)) return;
    const view: CodeView = {
      frame: (at) => this.cache.page_at(at)?.frame ?? 0,
      seen: (at, branched) => this.eager || (branched ? this.is_warm(this.record_at(at)) : this.record_at(at) !== 0),
      translated: (at) => this.originals.has(this.record_at(at)),
      targets: (virtual_page) => this.targets(virtual_page),
    };
    let region = build_region(view, rip, this.limits, return_address);
    if (region === null) return;
    let superseded = this.superseded_by(region);
    let generation = Math.max(-1, ...superseded.map((other) => other.generation)) + 1;
    // Code is translated once: what a region shares with others it takes over from them, or leaves to them.
    if (generation > MAX_GENERATION || this.touched_by(region).size > superseded.length) {
      region = build_region(view, rip, { ...this.limits, separate: true }, return_address);
      if (region === null) return;
      superseded = [];
      generation = 0;
    }
    const full = this.regions.size >= this.max_regions || !this.places.has_room(1);
    if (full || this.bytes + this.units.bytes > this.max_bytes) this.drop();
    else for (const other of superseded) this.remove(other);
    this.install(region, generation);
  }

  /** Tells whether PE was set when MXCSR was last looked at: where it is, rounding makes no difference. */
  note_inexact(set: boolean): void {
    this.assumption = set ? 'noted' : 'exact';
  }

  private assumption_at(rip: number): Assumption {
    const doubted = this.doubted.get(rip);
    if (doubted?.has(this.assumption) !== true) return this.assumption;
    const other = this.assumption === 'noted' ? 'exact' : 'noted';
    return doubted.has(other) ? 'none' : other;
  }

  /** What PlatformStatistics has of regions. */
  statistics(): Pick<PlatformStatistics, 'regions_live' | 'units_live' | 'region_bytes_live' | 'region_places'> {
    return {
      regions_live: this.regions.size,
      units_live: this.units.count,
      region_bytes_live: this.bytes + this.units.bytes,
      region_places: this.places.size,
    };
  }

  private record_at(rip: number): number {
    return this.cache.page_at(rip)?.records[rip % PAGE] ?? 0;
  }

  /** An indirect jump has led to the address. */
  mark(rip: number): void {
    const virtual_page = Math.floor(rip / PAGE);
    let marks = this.marks.get(virtual_page);
    if (marks === undefined) {
      marks = new Set();
      this.marks.set(virtual_page, marks);
    }
    marks.add(rip % PAGE);
  }

  /** Addresses on a page that indirect jumps have led to, and branches more than a few times. */
  private targets(virtual_page: number): number[] {
    const page = this.cache.page_at(virtual_page * PAGE);
    if (page === null) return [];
    const found: number[] = [];
    const entries = this.entries.get(key_of(page.frame, virtual_page));
    for (const offset of this.marks.get(virtual_page) ?? []) {
      const record = page.records[offset] as number;
      if (record === 0) continue;
      const marked = entries?.get(offset)?.switch ?? U8[record + RECORD_ENTRY] === ENTRY_SWITCH;
      if (marked && this.is_warm(record)) found.push(virtual_page * PAGE + offset);
    }
    return found;
  }

  /** Whether branches have led to the record often enough for code around a hot one; what is translated counts. */
  private is_warm(record: number): boolean {
    if (record === 0) return false;
    const branches = this.heat - (U16[(record + RECORD_HEAT) >>> 1] as number);
    return branches < 0 || branches >= Math.max(1, Math.floor(this.heat / TARGET_SHARE)) || this.originals.has(record);
  }

  /** Regions that are entered at blocks of a new one. */
  private touched_by(region: Region): Set<Translated> {
    const found = new Set<Translated>();
    for (const { rip, copied } of region.blocks) {
      if (copied) continue;
      const virtual_page = Math.floor(rip / PAGE);
      const entry = this.entries.get(key_of(region.pages.get(virtual_page) as number, virtual_page))?.get(rip % PAGE);
      if (entry !== undefined) found.add(entry.region);
    }
    return found;
  }

  /** Regions all of whose entries a new one has. */
  private superseded_by(region: Region): Translated[] {
    const mine = new Set(region.entries.map((id) => region.blocks[id]!.rip));
    return [...this.touched_by(region)].filter((other) => other.entries.every((rip) => mine.has(rip)));
  }

  private install(region: Region, generation: number): void {
    const number = this.places.take();
    if (this.next_link + REGION_LINKS > MAX_LINKS) this.next_link = 0;
    const place = {
      number,
      handler: this.places.handler_of(number),
      first_link: this.next_link,
      excluded: (rip: number): boolean => this.crossing.has(rip),
      resolves: (rip: number) => this.max_misses === 0 || this.missing.has(rip),
      assumption: (rip: number): Assumption => this.assumption_at(rip),
    };
    const { observer } = this;
    const start = observer === null ? 0 : observer.now();
    const counters = observer?.counted === true ? new_counters() : null;
    const { bytes, points, links } = translate(region, place, counters !== null);
    const { f } = this.instantiate(bytes, false, counters === null ? null : { ...counters });
    this.places.put(number, f);
    const ns = observer === null ? 0 : observer.now() - start;
    this.note_links(place, links);
    const translated: Translated = {
      number,
      outline: outline_of(region),
      place,
      links,
      f,
      unit: null,
      alone: false,
      followers: new Set(),
      entries: region.entries.map((id) => region.blocks[id]!.rip),
      bytes: bytes.length,
      generation,
      counters,
      crossings: 0,
      misses: new Map(),
      failures: new Map(),
    };
    this.add(translated, points);
    observer?.made(region, bytes, ns, counters);
  }

  private note_links({ number, first_link }: Place, links: number): void {
    this.next_link += links;
    this.units.note_links(first_link, links, number);
  }

  /** Ties what leads to a region to it. */
  private add(region: Translated, points: Points): void {
    const { number, outline, entries, bytes } = region;
    this.bytes += bytes;
    this.count_made(size_of(outline), bytes);
    this.regions.set(number, region);
    this.owners.set(number, region);
    this.points[number] = points;
    U32[(this.vcpu + REGION_TAGS_OFFSET) / 4 + number] = 0;
    for (const frame of outline.pages.values()) {
      let regions = this.by_frame.get(frame);
      if (regions === undefined) {
        regions = new Set();
        this.by_frame.set(frame, regions);
      }
      regions.add(region);
    }
    for (const [i, rip] of entries.entries()) this.add_entry(region, i, rip);
  }

  private count_made(instructions: number, bytes: number): void {
    Vcpu.regions_made.set(this.vcpu, Vcpu.regions_made.get(this.vcpu) + 1);
    Vcpu.region_instructions.set(this.vcpu, Vcpu.region_instructions.get(this.vcpu) + instructions);
    Vcpu.region_bytes.set(this.vcpu, Vcpu.region_bytes.get(this.vcpu) + bytes);
  }

  /** Compiles a module and makes an instance; its exports. */
  private instantiate(
    bytes: Uint8Array,
    is_unit: boolean,
    counters: Readonly<Record<string, WebAssembly.Global>> | null,
  ): Readonly<Record<string, unknown>> {
    const imports = counters === null ? this.imports : { ...this.imports, counters };
    return new WebAssembly.Instance(this.compile(bytes as Uint8Array<ArrayBuffer>, is_unit), imports).exports;
  }

  private unit_host(): UnitHost {
    return {
      places: this.places,
      counted: this.observer?.counted === true,
      candidate: (number) => this.regions.get(number) ?? null,
      has_room: (bytes) => this.bytes + this.units.bytes + bytes <= this.max_bytes,
      compile: (made, members) => this.compile_unit(made, members as readonly Translated[]),
      note_points: (number, points, region) => {
        if (points !== null) this.points[number] = points;
        if (region === null) this.owners.delete(number);
        else this.owners.set(number, region as Translated);
      },
    };
  }

  private compile_unit({ bytes }: UnitTranslation, members: readonly Translated[]): Readonly<Record<string, unknown>> {
    Vcpu.units_made.set(this.vcpu, Vcpu.units_made.get(this.vcpu) + 1);
    Vcpu.region_bytes.set(this.vcpu, Vcpu.region_bytes.get(this.vcpu) + bytes.length);
    if (this.observer?.counted !== true) return this.instantiate(bytes, true, null);
    const counters: Record<string, WebAssembly.Global> = {};
    for (const [i, member] of members.entries()) {
      counters[`entries${i}`] = member.counters!.entries;
      counters[`instructions${i}`] = member.counters!.instructions;
    }
    return this.instantiate(bytes, true, counters);
  }

  /** A way out of a region with the link `link` as its first leads to the record `op` (interp/chain.ts). */
  sample(link: number, op: number): void {
    this.units.sample(link, op);
  }

  private add_entry(region: Translated, number: number, rip: number): void {
    const virtual_page = Math.floor(rip / PAGE);
    const frame = region.outline.pages.get(virtual_page) as number;
    const key = key_of(frame, virtual_page);
    let entries = this.entries.get(key);
    if (entries === undefined) {
      entries = new Map();
      this.entries.set(key, entries);
    }
    // What is translated already stays as it is, but for the hot instruction itself.
    if (entries.has(rip % PAGE)) return;
    const entry: Entry = { region, number, switch: false };
    entries.set(rip % PAGE, entry);
    const page = this.cache.page_of(frame, virtual_page);
    if (page !== null) this.patch(page, rip % PAGE, entry);
  }

  /** Records of a page were written: its entries get theirs. */
  private attach(page: CodePage): void {
    const entries = this.entries.get(key_of(page.frame, page.virtual_page));
    if (entries === undefined) return;
    for (const [offset, entry] of entries) this.patch(page, offset, entry);
  }

  private patch(page: CodePage, offset: number, entry: Entry): void {
    const record = page.records[offset] as number;
    if (record === 0 || this.originals.has(record)) return;
    if (U8[record + RECORD_ENTRY] === ENTRY_SWITCH) entry.switch = true;
    this.originals.set(record, U16[(record + RECORD_HANDLER) >>> 1] as number);
    U16[(record + RECORD_HANDLER) >>> 1] = entry.region.place.handler;
    U8[record + RECORD_ENTRY] = entry.number + 1;
  }

  /** The handler of a record that is the interpreter's. */
  original(record: number): number {
    return this.originals.get(record) ?? (U16[(record + RECORD_HANDLER) >>> 1] as number);
  }

  /** Whether the pages of a region or unit are mapped as when it was made; remembered under the present tag. */
  validate(number: number): number {
    const pages = this.units.pages_of(number) ?? this.owners.get(number)?.outline.pages;
    if (pages === undefined) return 0;
    for (const [virtual_page, frame] of pages)
      if (this.cache.page_at(virtual_page * PAGE)?.frame !== frame) {
        this.units.refused(number);
        return 0;
      }
    U32[(this.vcpu + REGION_TAGS_OFFSET) / 4 + number] = Vcpu.code_tag.get(this.vcpu);
    return 1;
  }

  /** RIP at the point where a region gave up goes into Vcpu.region_rip; answers the rest as `leave_region` takes it. */
  point(number: number): number {
    const at = Vcpu.region_point.get(this.vcpu);
    const { rips, infos, runs } = this.points[number] as Points;
    const rip = rips[at] as number;
    Vcpu.region_rip.set(this.vcpu, rip);
    const reason = Vcpu.region_exit.get(this.vcpu);
    if (reason === REGION_CROSSED) this.crossed(number, rip);
    else if (reason === REGION_MISSED) this.missed(number, rip);
    else if (reason === REGION_ASSUMED) this.failed(number, runs.get(at) as Run);
    // The interpreter meets the fault where it is.
    else if (reason === REGION_FAULT && runs.has(at)) Vcpu.region_exit.set(this.vcpu, REGION_AGAIN);
    return infos[at] as number;
  }

  /** A window looked up at `rip` crosses a page: the region goes if that is not the first time. */
  private crossed(number: number, rip: number): void {
    const region = this.owners.get(number);
    if (region === undefined || ++region.crossings < MAX_CROSSINGS) return;
    if (this.crossing.size >= MAX_CROSSING_PLACES) this.crossing.clear();
    this.crossing.add(rip);
    this.make_again(region);
  }

  /** The TLB did not have what the instruction at `rip` wanted: it resolves that in place if that happens often. */
  private missed(number: number, rip: number): void {
    const region = this.owners.get(number);
    if (region === undefined) return;
    const places = often(region.misses, rip, this.max_misses);
    if (places.length === 0) return;
    if (this.missing.size >= MAX_MISSING_PLACES) this.missing.clear();
    for (const place of places) this.missing.add(place);
    this.make_again(region);
  }

  /** What a run assumes does not hold: the region goes if that happens often. */
  private failed(number: number, run: Run): void {
    const region = this.owners.get(number);
    if (region === undefined) return;
    const runs = often(region.failures, run, MAX_FAILURES);
    if (runs.length === 0) return;
    if (this.doubted.size >= MAX_DOUBTED_PLACES) this.doubted.clear();
    for (const other of runs) this.doubt(other);
    this.make_again(region);
  }

  private doubt({ insns, assumption }: Run): void {
    for (const { rip } of insns) {
      const doubted = this.doubted.get(rip) ?? new Set();
      this.doubted.set(rip, doubted.add(assumption));
    }
  }

  private make_again(region: Translated): void {
    const entry = region.entries[0] as number;
    this.remove(region);
    this.translate(entry, 0);
  }

  /** Forgets the regions that have code of a frame. */
  invalidate_frame(frame: number): void {
    const regions = this.by_frame.get(frame);
    if (regions === undefined) return;
    for (const region of [...regions]) this.remove(region);
  }

  private remove(region: Translated): void {
    const { number, unit } = region;
    if (unit !== null) this.units.dissolve(unit);
    for (const [i, rip] of region.entries.entries()) this.remove_entry(region, i, rip);
    for (const frame of region.outline.pages.values()) {
      const regions = this.by_frame.get(frame);
      regions?.delete(region);
      if (regions?.size === 0) this.by_frame.delete(frame);
    }
    this.bytes -= region.bytes;
    this.regions.delete(number);
    this.owners.delete(number);
    this.places.release(number);
  }

  private remove_entry(region: Translated, number: number, rip: number): void {
    const virtual_page = Math.floor(rip / PAGE);
    const frame = region.outline.pages.get(virtual_page) as number;
    const entries = this.entries.get(key_of(frame, virtual_page));
    const entry = entries?.get(rip % PAGE);
    if (entries === undefined || entry?.region !== region || entry.number !== number) return;
    entries.delete(rip % PAGE);
    if (entries.size === 0) this.entries.delete(key_of(frame, virtual_page));
    const record = this.cache.page_of(frame, virtual_page)?.records[rip % PAGE] ?? 0;
    const original = this.originals.get(record);
    if (record === 0 || original === undefined) return;
    U16[(record + RECORD_HANDLER) >>> 1] = original;
    U8[record + RECORD_ENTRY] = entry.switch ? ENTRY_SWITCH : 0;
    this.originals.delete(record);
  }

  /** Forgets everything. */
  drop(): void {
    for (const region of this.regions.values()) this.remove(region);
  }
}
