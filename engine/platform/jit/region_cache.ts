/**
 * The regions of one vCPU: making them, tying their entries to the interpreter's records, and forgetting them.
 *
 * A region belongs to frames at virtual pages, as decoded code does, and is found by every address space that maps them
 * so. Where it spans several pages, `validate` looks once for each state of an address space (Vcpu.code_tag) whether
 * all are in place.
 */
import type { Ptr } from '../../base/types.ts';
import { U8, U16, U32 } from '../../heap/memory.ts';
import { MAX_REGIONS, REGION_TAGS_OFFSET, Vcpu } from '../../machine/vcpu.layout.ts';
import type { CodeCache, CodePage } from '../interp/cache.ts';
import { RECORD_ENTRY, RECORD_HANDLER } from '../interp/record.ts';
import { build_region, type CodeView, type Region, type RegionLimits } from './region.ts';
import { translate } from './translate.ts';

const PAGE = 4096;
const LIMITS: RegionLimits = { instructions: 600, pages: 6, entries: 200 };
/** Bytes of modules and number of regions at which all are dropped. */
const MAX_BYTES = 24 << 20;
const REGIONS = Math.min(2000, MAX_REGIONS);

/** What a region's module is instantiated with. */
export type RegionImports = Readonly<Record<'env' | 'runtime' | 'helpers', Readonly<Record<string, unknown>>>>;

/** A translated region and what it depends on. */
interface Translated {
  readonly number: number;
  /** Index in the function table. */
  readonly handler: number;
  readonly pages: ReadonlyMap<number, number>;
  /** Addresses of its entries, by number. */
  readonly entries: readonly number[];
}

/** An entry that a page has. */
interface Entry {
  readonly region: Translated;
  readonly number: number;
}

function key_of(frame: number, virtual_page: number): string {
  return `${frame}:${virtual_page}`;
}

export class RegionCache {
  private readonly vcpu: Ptr<'Vcpu'>;
  private readonly cache: CodeCache;
  private readonly imports: RegionImports;
  private readonly eager: boolean;
  private readonly table: WebAssembly.Table;
  private readonly regions: (Translated | null)[] = [];
  private readonly free: number[] = [];
  private readonly free_handlers: number[] = [];
  /** Entries by frame and virtual page, then by offset. */
  private readonly entries = new Map<string, Map<number, Entry>>();
  /** Regions by frame. */
  private readonly by_frame = new Map<number, Set<Translated>>();
  /** Handlers of patched records before. */
  private readonly originals = new Map<number, number>();
  private bytes = 0;
  /** Regions made since the beginning, their guest instructions and the bytes of their modules. */
  readonly made = { regions: 0, instructions: 0, bytes: 0, drops: 0, removed: 0 };

  constructor(vcpu: Ptr<'Vcpu'>, cache: CodeCache, imports: RegionImports, eager: boolean) {
    this.vcpu = vcpu;
    this.cache = cache;
    this.imports = imports;
    this.eager = eager;
    this.table = imports.runtime.table as WebAssembly.Table;
    cache.observer = {
      decoded: (page) => this.attach(page),
      dropped: () => this.originals.clear(),
    };
  }

  /** Translates the code around an address, unless it is translated. */
  translate(rip: number): void {
    const page = this.cache.page_at(rip);
    if (page === null) return;
    const record = page.records[rip % PAGE] as number;
    if (record === 0 || this.originals.has(record)) return;
    const view: CodeView = {
      frame: (at) => this.cache.page_at(at)?.frame ?? 0,
      seen: (at) => this.eager || (this.cache.page_at(at)?.records[at % PAGE] ?? 0) !== 0,
    };
    const region = build_region(view, rip, LIMITS);
    if (region === null) return;
    if (this.bytes > MAX_BYTES || this.regions.length - this.free.length >= REGIONS) this.drop();
    this.install(region);
  }

  private install(region: Region): void {
    const number = this.free.pop() ?? this.regions.length;
    const bytes = translate(region, number);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), this.imports);
    const handler = this.free_handlers.pop() ?? this.table.grow(1);
    this.table.set(handler, instance.exports.f);
    this.bytes += bytes.length;
    this.made.regions++;
    this.made.instructions += region.blocks.reduce((sum, block) => sum + block.insns.length, 0);
    this.made.bytes += bytes.length;
    const entries = region.entries.map((id) => region.blocks[id]!.rip);
    const translated: Translated = { number, handler, pages: region.pages, entries };
    this.regions[number] = translated;
    U32[(this.vcpu + REGION_TAGS_OFFSET) / 4 + number] = 0;
    for (const frame of region.pages.values()) {
      let regions = this.by_frame.get(frame);
      if (regions === undefined) {
        regions = new Set();
        this.by_frame.set(frame, regions);
      }
      regions.add(translated);
    }
    for (const [i, rip] of entries.entries()) this.add_entry(translated, i, rip);
  }

  private add_entry(region: Translated, number: number, rip: number): void {
    const virtual_page = Math.floor(rip / PAGE);
    const frame = region.pages.get(virtual_page) as number;
    const key = key_of(frame, virtual_page);
    let entries = this.entries.get(key);
    if (entries === undefined) {
      entries = new Map();
      this.entries.set(key, entries);
    }
    // What is translated already stays as it is, but for the hot instruction itself.
    if (entries.has(rip % PAGE)) return;
    entries.set(rip % PAGE, { region, number });
    const page = this.cache.page_of(frame, virtual_page);
    if (page !== null) this.patch(page, rip % PAGE, { region, number });
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
    this.originals.set(record, U16[(record + RECORD_HANDLER) >>> 1] as number);
    U16[(record + RECORD_HANDLER) >>> 1] = entry.region.handler;
    U8[record + RECORD_ENTRY] = entry.number;
  }

  /** The handler of a patched record before. */
  original(record: number): number {
    return this.originals.get(record) as number;
  }

  /** Whether a region's pages are mapped as when it was made; remembered under the present tag. */
  validate(number: number): number {
    const region = this.regions[number];
    if (region === null || region === undefined) return 0;
    for (const [virtual_page, frame] of region.pages)
      if (this.cache.page_at(virtual_page * PAGE)?.frame !== frame) return 0;
    U32[(this.vcpu + REGION_TAGS_OFFSET) / 4 + number] = Vcpu.code_tag.get(this.vcpu);
    return 1;
  }

  /** Forgets the regions that have code of a frame. */
  invalidate_frame(frame: number): void {
    const regions = this.by_frame.get(frame);
    if (regions === undefined) return;
    for (const region of [...regions]) this.remove(region);
  }

  private remove(region: Translated): void {
    for (const [number, rip] of region.entries.entries()) this.remove_entry(region, number, rip);
    for (const frame of region.pages.values()) this.by_frame.get(frame)?.delete(region);
    this.regions[region.number] = null;
    this.free.push(region.number);
    // Code that is running keeps itself alive.
    this.table.set(region.handler, null);
    this.free_handlers.push(region.handler);
  }

  private remove_entry(region: Translated, number: number, rip: number): void {
    const virtual_page = Math.floor(rip / PAGE);
    const frame = region.pages.get(virtual_page) as number;
    const entries = this.entries.get(key_of(frame, virtual_page));
    const entry = entries?.get(rip % PAGE);
    if (entries === undefined || entry?.region !== region || entry.number !== number) return;
    entries.delete(rip % PAGE);
    if (entries.size === 0) this.entries.delete(key_of(frame, virtual_page));
    const record = this.cache.page_of(frame, virtual_page)?.records[rip % PAGE] ?? 0;
    const original = this.originals.get(record);
    if (record === 0 || original === undefined) return;
    U16[(record + RECORD_HANDLER) >>> 1] = original;
    this.originals.delete(record);
  }

  /** Forgets everything. */
  drop(): void {
    for (const region of this.regions) if (region !== null) this.remove(region);
    this.bytes = 0;
  }
}
