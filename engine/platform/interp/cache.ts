/**
 * Decoded code of one vCPU: from frames and virtual pages to records in the arena.
 *
 * A code page is a frame seen at a virtual page (records carry addresses); it survives switches between address
 * spaces, so what processes share is decoded once. The jump cache holds full addresses, with a tag for each address
 * space as it was when it was last entered: two processes that wake each other in turns keep their entries, where
 * filling it and looking everything up again cost 50 us a switch. An instruction that crosses into the next page is kept
 * apart, with both frames. Everything here may be dropped at any moment between two blocks.
 */
import { assert } from '../../base/assert.ts';
import { type FrameAddr, NULL, type Ptr } from '../../base/types.ts';
import { MACHINE, MachineHeader } from '../../heap/machine.layout.ts';
import { U8, U16, U32 } from '../../heap/memory.ts';
import { flush_others } from '../../machine/flush_others.ts';
import { FRAME_CACHE, FRAME_CODE, FRAME_DIRTY, FrameInfo } from '../../machine/frame.layout.ts';
import { PTE_EXEC, PTE_PRESENT, TASK_SIZE } from '../../machine/page_table.layout.ts';
import { enter_guest, leave_guest } from '../../machine/safe_point.ts';
import { tlb_forbid_writes } from '../../machine/tlb.ts';
import {
  ACCESS_EXEC,
  ARENA_OFFSET,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_SHIFT,
  JUMP_CACHE_OFFSET,
  MAX_LINKS,
  Vcpu,
} from '../../machine/vcpu.layout.ts';
import { decode, decode_crossing, NEED_MORE, new_instruction, TOO_LONG } from '../../x86/decoder.ts';
import type { PlatformStatistics } from '../platform.ts';
import { begin_run, encode, ends_block, ends_run, type Handlers, write_head } from './encode.ts';
import {
  HANDLER_GOTO,
  HANDLER_PROTECTION,
  HANDLER_RESUME,
  HANDLER_UNDEFINED,
  RECORD_DISPLACEMENT,
  RECORD_HANDLER,
  RECORD_LENGTH,
  RECORD_LINK,
  RECORD_RIP,
  RECORD_SIZE,
} from './record.ts';

const PAGE = 4096;
const TWO_32 = 4294967296;
/** Instructions decoded ahead at most. */
const RUN_LIMIT = 255;
/** Address spaces remembered at most, and the last tag before they start again. */
const TAGS_LIMIT = 256;
const LAST_TAG = 0x7fff_ffff;
const SALT_SHIFT = 32 - Math.log2(JUMP_CACHE_ENTRIES);
const RECENT_PAGES = 512;
/** Pages of code at which all are dropped: each takes 16 KiB, however little of it was decoded. */
export const MAX_PAGES = 4096;
const NO_RECORDS = new Int32Array(0);
/** Bytes of arena that a run may take: two records an instruction and one to end it. */
const RUN_BYTES = (2 * RUN_LIMIT + 2) * RECORD_SIZE;

/** A frame of code at a virtual page. */
export interface CodePage {
  readonly frame: FrameAddr;
  readonly virtual_page: number;
  /** Record of the instruction at each offset, 0 if not decoded. */
  readonly records: Int32Array;
  /** Arena ranges written for this page: start, end, start, end ... */
  readonly ranges: number[];
}

/** An instruction over a page boundary. */
interface Crossing {
  readonly first: FrameAddr;
  readonly second: FrameAddr;
  readonly record: number;
  readonly end: number;
}

/** A page found lately: valid while the tag is. */
interface Recent {
  page: number;
  tag: number;
  records: Int32Array;
}

/** Who follows what happens to records: the translator. */
export interface RecordObserver {
  /** Records were written for a page. */
  decoded(page: CodePage): void;
  /** All records are gone. */
  dropped(): void;
}

export type FaultHook = (address: number, access: number) => number;

export class CodeCache {
  private readonly vcpu: Ptr<'Vcpu'>;
  private readonly handlers: Handlers;
  private readonly arena_end: number;
  private readonly fault: FaultHook;
  /** By frame, then by virtual page. */
  private readonly pages = new Map<number, Map<number, CodePage>>();
  private page_count = 0;
  private readonly crossings = new Map<number, Crossing>();
  private readonly instruction = new_instruction();
  /** Tag by number of the address space, with its changes as of then. */
  private readonly tags = new Map<number, { changes: number; tag: number }>();
  private space = 0;
  /** By virtual page modulo RECENT_PAGES: most misses of the jump cache are in pages known well. */
  private readonly recent: Recent[] = [];
  private last_tag = 0;
  observer: RecordObserver | null = null;
  /** Rises when everything is dropped: pointers into the arena from before are void. */
  private drops = 0;
  private lookups = 0;

  constructor(vcpu: Ptr<'Vcpu'>, handlers: Handlers, fault: FaultHook) {
    this.vcpu = vcpu;
    this.handlers = handlers;
    this.fault = fault;
    for (let i = 0; i < RECENT_PAGES; i++) this.recent.push({ page: -1, tag: 0, records: NO_RECORDS });
    this.arena_end = vcpu + MachineHeader.vcpu_stride.get(MACHINE);
    // In a new machine's memory no entry has a tag that is ever in use, and most of them will never be touched.
    if (Vcpu.code_tag.get(vcpu) !== 0) this.clear_jumps();
    this.drop();
  }

  /** Forgets everything. */
  drop(): void {
    this.pages.clear();
    this.page_count = 0;
    this.crossings.clear();
    this.drops++;
    this.observer?.dropped();
    Vcpu.arena_next.set(this.vcpu, this.vcpu + ARENA_OFFSET);
    this.flush_spaces();
  }

  /** See PlatformStatistics: an entry is a decoded instruction. */
  statistics(): PlatformStatistics {
    const bytes = Vcpu.arena_next.get(this.vcpu) - this.vcpu - ARENA_OFFSET;
    return {
      code_entries: bytes / RECORD_SIZE,
      code_bytes: bytes,
      code_lookups: this.lookups,
      code_drops: this.drops - 1,
      code_pages: this.page_count,
      regions_live: 0,
      units_live: 0,
      region_bytes_live: 0,
      region_places: 0,
    };
  }

  /** Forgets which addresses lead to which records, in the present address space. */
  flush_translations(): void {
    const tag = this.next_tag();
    this.use_tag(tag);
    const known = this.tags.get(this.space);
    if (known !== undefined) known.tag = tag;
  }

  /** The same in every address space: records have become void. */
  private flush_spaces(): void {
    this.tags.clear();
    this.forget_recent();
    this.flush_translations();
  }

  private forget_recent(): void {
    for (const recent of this.recent) {
      recent.page = -1;
      recent.records = NO_RECORDS;
    }
  }

  /** Another address space is active; see Platform. */
  switch_space(space: number, changes: number): void {
    this.space = space;
    let known = this.tags.get(space);
    if (known === undefined || known.changes !== changes) {
      if (this.tags.size >= TAGS_LIMIT) this.tags.clear();
      known = { changes, tag: this.next_tag() };
      this.tags.set(space, known);
    }
    this.use_tag(known.tag);
  }

  private use_tag(tag: number): void {
    Vcpu.code_tag.set(this.vcpu, tag);
    // The upper bits of a product with the golden ratio: tags in a row are far apart.
    Vcpu.code_salt.set(this.vcpu, Math.imul(tag, 0x9e37_79b1) >>> SALT_SHIFT);
  }

  private next_tag(): number {
    if (this.last_tag === LAST_TAG) {
      this.tags.clear();
      this.clear_jumps();
      this.forget_recent();
      this.last_tag = 0;
    }
    return ++this.last_tag;
  }

  /** Empties the jump cache and the links behind it, whatever the tag. */
  private clear_jumps(): void {
    const start = this.vcpu + JUMP_CACHE_OFFSET;
    U8.fill(0xff, start, start + ((JUMP_CACHE_ENTRIES + MAX_LINKS) << JUMP_CACHE_ENTRY_SHIFT));
    // Address -1 belongs in entry 0, which must not seem to hold it; address 1 does not belong there.
    U32[start >>> 2] = 1;
    U32[(start + 4) >>> 2] = 0;
  }

  /** Forgets the code of a frame: its records look themselves up again when they are reached. */
  invalidate_frame(frame: FrameAddr): void {
    const views = this.pages.get(frame);
    if (views !== undefined) {
      for (const page of views.values())
        for (let i = 0; i < page.ranges.length; i += 2) stale(page.ranges[i]!, page.ranges[i + 1]!);
      this.pages.delete(frame);
      this.page_count -= views.size;
    }
    for (const [rip, crossing] of this.crossings) {
      if (crossing.first !== frame && crossing.second !== frame) continue;
      stale(crossing.record, crossing.end);
      this.crossings.delete(rip);
    }
    this.flush_spaces();
  }

  /**
   * The record of the instruction at `rip`, decoded if need be and entered in the jump cache; 0 on a fault, which
   * Vcpu.fault_address and fault_access then describe.
   */
  lookup(rip: number): number {
    this.lookups++;
    const record = this.find(rip);
    if (record === 0) return 0;
    const page = Math.floor(rip / PAGE);
    const salt = Vcpu.code_salt.get(this.vcpu);
    const slot = ((rip >>> 0) ^ (page >>> 0) ^ salt) & (JUMP_CACHE_ENTRIES - 1);
    const at = this.vcpu + JUMP_CACHE_OFFSET + (slot << JUMP_CACHE_ENTRY_SHIFT);
    U32[at >>> 2] = rip;
    U32[(at + 4) >>> 2] = Math.floor(rip / TWO_32);
    U32[(at + 8) >>> 2] = record;
    U32[(at + 12) >>> 2] = Vcpu.code_tag.get(this.vcpu);
    return record;
  }

  /** The record that a direct branch leads to, if it may be linked: on the same page, and no crossing. */
  link(op: number): number {
    const rip_page = U32[(op + RECORD_RIP) >>> 2]! >>> 12;
    const lo = U32[(op + RECORD_DISPLACEMENT) >>> 2]!;
    const hi = U32[(op + RECORD_DISPLACEMENT + 4) >>> 2]!;
    const last = U32[(op + RECORD_RIP) >>> 2]! + U8[op + RECORD_LENGTH]! - 1;
    if (rip_page !== lo >>> 12 || last >>> 12 !== rip_page) return 0;
    const target = hi * TWO_32 + lo;
    const drops = this.drops;
    const record = this.lookup(target);
    if (record === 0 || drops !== this.drops || this.crossings.get(target)?.record === record) return 0;
    U32[(op + RECORD_LINK) >>> 2] = record;
    return record;
  }

  /** The decoded page at an address, as it is mapped now; null where nothing is decoded. Never faults. */
  page_at(rip: number): CodePage | null {
    const frame = walk_executable(Vcpu.page_table.get(this.vcpu), rip);
    if (frame === 0 || !has_code(frame)) return null;
    return this.pages.get(frame)?.get(Math.floor(rip / PAGE)) ?? null;
  }

  /** The decoded page of a frame at a virtual page, wherever it is mapped. */
  page_of(frame: number, virtual_page: number): CodePage | null {
    return this.pages.get(frame)?.get(virtual_page) ?? null;
  }

  private find(rip: number): number {
    const virtual_page = Math.floor(rip / PAGE);
    const recent = this.recent[(virtual_page >>> 0) % RECENT_PAGES]!;
    if (recent.page === virtual_page && recent.tag === Vcpu.code_tag.get(this.vcpu)) {
      const known = recent.records[rip % PAGE]!;
      if (known !== 0) return known;
    }
    const frame = this.executable_frame(rip);
    if (frame === 0) return 0;
    const crossing = this.crossings.get(rip);
    if (crossing !== undefined && crossing.first === frame) {
      const second = this.executable_frame((Math.floor(rip / PAGE) + 1) * PAGE);
      if (second === 0) return 0;
      if (second === crossing.second) return crossing.record;
    }
    const page = this.code_page(frame, virtual_page);
    recent.page = virtual_page;
    recent.tag = Vcpu.code_tag.get(this.vcpu);
    recent.records = page.records;
    const known = page.records[rip % PAGE]!;
    if (known !== 0) return known;
    if (Vcpu.arena_next.get(this.vcpu) + RUN_BYTES > this.arena_end || this.page_count > MAX_PAGES) {
      this.drop();
      return this.decode_run(this.code_page(frame, virtual_page), rip);
    }
    return this.decode_run(page, rip);
  }

  private code_page(frame: FrameAddr, virtual_page: number): CodePage {
    // Marking may let requests of other vCPUs in, so it comes before a look at what is known.
    while (!has_code(frame)) this.mark(frame);
    let views = this.pages.get(frame);
    if (views === undefined) {
      views = new Map();
      this.pages.set(frame, views);
    }
    let page = views.get(virtual_page);
    if (page === undefined) {
      page = { frame, virtual_page, records: new Int32Array(PAGE), ranges: [] };
      views.set(virtual_page, page);
      this.page_count++;
    }
    return page;
  }

  /**
   * Marks a frame as having code, before its bytes are read: from then on every vCPU notices its stores to it. A page
   * of the page cache that nobody has written is not in any TLB for writing.
   */
  private mark(frame: FrameAddr): void {
    const before = FrameInfo.flags.or(info_of(frame), FRAME_CODE);
    if ((before & FRAME_CODE) !== 0) return;
    // As every page of a program just started: scanning the TLB for each took a fifth of a short program's time.
    if ((before & (FRAME_CACHE | FRAME_DIRTY)) === FRAME_CACHE) return;
    tlb_forbid_writes(this.vcpu, frame);
    if (MachineHeader.vcpu_count.get(MACHINE) === 1) return;
    leave_guest(this.vcpu);
    flush_others(NULL);
    enter_guest(this.vcpu);
  }

  /** The frame from which code at `address` is fetched; 0 when the fault stands. */
  private executable_frame(address: number): FrameAddr {
    for (;;) {
      const frame = walk_executable(Vcpu.page_table.get(this.vcpu), address);
      if (frame !== 0) return frame;
      Vcpu.fault_address.set(this.vcpu, address);
      Vcpu.fault_access.set(this.vcpu, ACCESS_EXEC);
      if (address >= TASK_SIZE || this.fault(address, ACCESS_EXEC) !== 0) break;
    }
    Vcpu.fault_address.set(this.vcpu, address);
    Vcpu.fault_access.set(this.vcpu, ACCESS_EXEC);
    return 0 as FrameAddr;
  }

  /** Decodes from `rip` to the end of the run; the record of its first instruction, or 0 on a fault. */
  private decode_run(page: CodePage, rip: number): number {
    const start = Vcpu.arena_next.get(this.vcpu);
    let at = start;
    const base = rip - (rip % PAGE);
    let offset = rip % PAGE;
    let position = 0;
    const { instruction } = this;
    begin_run(this.handlers.heat);
    for (let count = 0; ; count++) {
      const here = base + offset;
      if (count > 0 && offset < PAGE && page.records[offset] !== 0) {
        at = write_end(at, HANDLER_GOTO, here, position, page.records[offset]!);
        break;
      }
      if (offset >= PAGE || count === RUN_LIMIT) {
        at = write_end(at, HANDLER_RESUME, here, position, 0);
        break;
      }
      const length = decode(U8, page.frame + offset, page.frame + PAGE, instruction);
      if (length === NEED_MORE) {
        if (count === 0) return this.decode_crossing(page, here);
        at = write_end(at, HANDLER_RESUME, here, position, 0);
        break;
      }
      page.records[offset] = at;
      if (length < 0) {
        at = write_end(at, length === TOO_LONG ? HANDLER_PROTECTION : HANDLER_UNDEFINED, here, position, 0);
        break;
      }
      at = encode(at, instruction, here, position, this.handlers);
      if (ends_run(instruction)) break;
      position = ends_block(instruction) ? 0 : position + 1;
      offset += length;
    }
    Vcpu.arena_next.set(this.vcpu, at);
    page.ranges.push(start, at);
    this.observer?.decoded(page);
    return page.records[rip % PAGE]!;
  }

  private decode_crossing(page: CodePage, rip: number): number {
    const offset = rip % PAGE;
    const next = rip - offset + PAGE;
    const second = this.executable_frame(next);
    if (second === 0) return 0;
    while (!has_code(page.frame) || !has_code(second)) {
      this.mark(page.frame);
      this.mark(second);
    }
    const length = decode_crossing(U8, page.frame + offset, PAGE - offset, second, this.instruction);
    const start = Vcpu.arena_next.get(this.vcpu);
    let at = start;
    if (length <= 0) {
      at = write_end(at, length === TOO_LONG ? HANDLER_PROTECTION : HANDLER_UNDEFINED, rip, 0, 0);
    } else {
      begin_run(this.handlers.heat);
      at = encode(at, this.instruction, rip, 0, this.handlers);
      at = write_end(at, HANDLER_RESUME, rip + length, ends_block(this.instruction) ? 0 : 1, 0);
    }
    Vcpu.arena_next.set(this.vcpu, at);
    this.crossings.set(rip, { first: page.frame, second, record: start, end: at });
    return start;
  }
}

/** A record that ends a run without being an instruction. */
function write_end(at: number, handler: number, rip: number, position: number, link: number): number {
  write_head(at, handler, rip, 0, position);
  U32[(at + RECORD_LINK) >>> 2] = link;
  return at + RECORD_SIZE;
}

/** Makes every record of an arena range look itself up again. */
function stale(start: number, end: number): void {
  assert((end - start) % RECORD_SIZE === 0, 'stale: whole records');
  for (let at = start; at < end; at += RECORD_SIZE) U16[(at + RECORD_HANDLER) >>> 1] = HANDLER_RESUME;
}

function info_of(frame: FrameAddr): Ptr<'FrameInfo'> {
  return (MachineHeader.frame_table.get(MACHINE) + (frame >>> 12) * FrameInfo.SIZE) as Ptr<'FrameInfo'>;
}

/** Whether stores to the frame are noticed. */
function has_code(frame: FrameAddr): boolean {
  return (FrameInfo.flags.load(info_of(frame)) & FRAME_CODE) !== 0;
}

const PT_MASK = 1023;

/** Walks the page table for an instruction fetch: the frame, or 0. */
function walk_executable(root: number, address: number): FrameAddr {
  if (root === 0 || address >= TASK_SIZE) return 0 as FrameAddr;
  const hi = Math.floor(address / TWO_32);
  const lo = address >>> 0;
  let entry = U32[(root >>> 2) + (hi >>> 10)]!;
  if ((entry & PTE_PRESENT) === 0) return 0 as FrameAddr;
  entry = U32[((entry & ~0xfff) >>> 2) + (hi & PT_MASK)]!;
  if ((entry & PTE_PRESENT) === 0) return 0 as FrameAddr;
  entry = U32[((entry & ~0xfff) >>> 2) + (lo >>> 22)]!;
  if ((entry & PTE_PRESENT) === 0) return 0 as FrameAddr;
  entry = U32[((entry & ~0xfff) >>> 2) + ((lo >>> 12) & PT_MASK)]!;
  const wanted = PTE_PRESENT | PTE_EXEC;
  return ((entry & wanted) === wanted ? (entry & ~0xfff) >>> 0 : 0) as FrameAddr;
}
