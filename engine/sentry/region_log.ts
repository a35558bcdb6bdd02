/**
 * What `Machine.regions` tells: the regions that a vCPU's translator has made, where their code comes from and what they
 * have done. Guest memory changes and processes end, so that everything but the module's text is taken when a region is
 * made.
 */
import { host_clock } from '../host/clock.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { task_comm } from '../kernel/task.ts';
import { enter_guest, leave_guest } from '../machine/safe_point.ts';
import { disassemble_region, REGION_LOCALS, region_listing } from '../platform/jit/listing.ts';
import type { Region } from '../platform/jit/region.ts';
import type { RegionCounters, RegionObserver } from '../platform/jit/region_cache.ts';
import { module_text } from '../wasm/text.ts';
import { type CodePlace, code_place } from './code_map.ts';

/** What is asked for. */
export interface RegionsRequest {
  /** The hottest so many. */
  readonly limit: number;
  /** With IR, with WebAssembly. */
  readonly ir: boolean;
  readonly wasm: boolean;
  /** Only regions that have the instruction at this address; null for all. */
  readonly address: number | null;
}

/** One translated region. */
export interface RegionReport {
  /** vCPU that made it, and the program that ran there. */
  readonly vcpu: number;
  readonly program: string;
  /** Guest address of the instruction that was hot, and where that is in a file. */
  readonly address: number;
  readonly place: CodePlace;
  /** Times it was entered, and guest instructions of blocks that it has run to their end. */
  readonly entered: number;
  readonly instructions: number;
  /** Blocks, guest instructions and entries; bytes of the module and ns that it took to make it. */
  readonly blocks: number;
  readonly size: number;
  readonly entries: number;
  readonly module_bytes: number;
  readonly compile_ns: number;
  /** Guest instructions by block, with IR if asked for; the module's text, '' unless asked for. */
  readonly listing: readonly string[];
  readonly wasm: string;
}

/** Sums over all regions of a vCPU, those that are gone included. */
export interface RegionTotals {
  readonly vcpu: number;
  readonly regions: number;
  readonly size: number;
  readonly module_bytes: number;
  readonly compile_ns: number;
  readonly entered: number;
  readonly instructions: number;
}

export interface RegionsAnswer {
  readonly totals: RegionTotals;
  readonly hottest: readonly RegionReport[];
}

interface Entry {
  readonly region: Region;
  readonly program: string;
  readonly place: CodePlace;
  readonly disassembly: readonly string[];
  readonly bytes: Uint8Array;
  readonly ns: number;
  readonly counters: RegionCounters;
}

/** Regions kept at most; the coldest go, and are counted in the totals only. */
const LIMIT = 4096;

function value(counter: WebAssembly.Global): number {
  return Number(counter.value as bigint);
}

function size_of(region: Region): number {
  return region.blocks.reduce((sum, { insns }) => sum + insns.length, 0);
}

function root_of(region: Region): number {
  return region.blocks[region.entries[0] as number]!.rip;
}

/** The regions of one thread's translator. */
export class RegionLog implements RegionObserver {
  readonly counted = true;
  readonly vcpu: number;
  private entries: Entry[] = [];
  private readonly gone = { regions: 0, size: 0, module_bytes: 0, compile_ns: 0, entered: 0, instructions: 0 };

  constructor(vcpu: number) {
    this.vcpu = vcpu;
  }

  now(): number {
    return host_clock.monotonic_ns();
  }

  made(region: Region, bytes: Uint8Array, ns: number, counters: RegionCounters | null): void {
    if (counters === null) return;
    const disassembly = disassemble_region(region);
    // The address space is looked at under its lock, for which nobody in guest mode may wait.
    leave_guest(current_vcpu);
    const place = code_place(root_of(region));
    const program = task_comm(current);
    enter_guest(current_vcpu);
    this.entries.push({ region, program, place, disassembly, bytes, ns, counters });
    if (this.entries.length >= 2 * LIMIT) this.trim();
  }

  private sort(): void {
    const heat = new Map(this.entries.map((entry) => [entry, value(entry.counters.instructions)]));
    this.entries.sort((a, b) => (heat.get(b) as number) - (heat.get(a) as number));
  }

  private trim(): void {
    this.sort();
    for (const entry of this.entries.splice(LIMIT)) this.add(this.gone, entry);
  }

  private add(sum: { -readonly [K in keyof Omit<RegionTotals, 'vcpu'>]: number }, entry: Entry): void {
    sum.regions++;
    sum.size += size_of(entry.region);
    sum.module_bytes += entry.bytes.length;
    sum.compile_ns += entry.ns;
    sum.entered += value(entry.counters.entries);
    sum.instructions += value(entry.counters.instructions);
  }

  /** The sums, and what is asked for of the hottest. */
  answer(request: RegionsRequest): RegionsAnswer {
    this.sort();
    const totals = { ...this.gone };
    for (const entry of this.entries) this.add(totals, entry);
    const { address } = request;
    const has = ({ region }: Entry): boolean =>
      region.blocks.some(({ insns }) => insns.some(({ rip, next }) => address! >= rip && address! < next));
    const wanted = address === null ? this.entries : this.entries.filter(has);
    const hottest = wanted.slice(0, request.limit).map((entry) => this.report(entry, request));
    return { totals: { vcpu: this.vcpu, ...totals }, hottest };
  }

  private report(entry: Entry, { ir, wasm }: RegionsRequest): RegionReport {
    const { region, program, place, disassembly, bytes, ns, counters } = entry;
    return {
      vcpu: this.vcpu,
      program,
      address: root_of(region),
      place,
      entered: value(counters.entries),
      instructions: value(counters.instructions),
      blocks: region.blocks.length,
      size: size_of(region),
      entries: region.entries.length,
      module_bytes: bytes.length,
      compile_ns: ns,
      listing: region_listing(region, disassembly, ir),
      wasm: wasm ? module_text(bytes, { bodies_only: true, locals: REGION_LOCALS }) : '',
    };
  }
}
