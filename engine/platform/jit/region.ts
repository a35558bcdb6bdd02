/**
 * Regions: which guest code is translated together, as a graph of blocks.
 *
 * From a hot instruction the builder follows direct branches and calls to code that has run (that is decoded), on a few
 * pages, up to a number of instructions. Code behind a call, or behind an instruction that the interpreter runs, belongs
 * to the region too, and may be entered there. With an indirect jump, what such jumps have led to in the
 * neighbourhood does: the targets of a switch, or the handlers of an interpreter. A function takes a copy of the
 * instructions with it that it returns to, if they are few until the next indirect jump or call: in an interpreter's
 * loop that saves every second way from region to region.
 */
import { U8 } from '../../heap/memory.ts';
import { decode, decode_crossing, MAX_LENGTH, new_instruction } from '../../x86/decoder.ts';
import { ATTR_BRANCH, type Instruction, type RegisterClass } from '../../x86/instruction.ts';
import { variant_of } from '../interp/forms.ts';
import { predict_returns } from './returns.ts';
import type { Run } from './runs.ts';
import { type Template, template_of } from './template.ts';

const PAGE = 4096;
/** Pages on both sides of an indirect jump whose targets are looked for. */
const TARGET_PAGES = 8;
/** Instructions that are copied behind a return at most. */
const MAX_COPIED = 24;
const LONGEST_CALL = 8;
/** Straight code is no work for V8: what surrounds it decides whether it is in one piece with the loop around it. */
const LONG_BLOCK = 64;

/** Bounds of one region. */
export interface RegionLimits {
  /** From so many on no block is begun. Of a long block only the first LONG_BLOCK count. */
  readonly instructions: number;
  /** All, even in the middle of a block: INFO_RETIRED_MASK or less. */
  readonly most: number;
  readonly pages: number;
  readonly entries: number;
  /** Other regions are left alone: code that one is entered at stays outside. */
  readonly separate: boolean;
}

/** How the builder sees the guest's code. */
export interface CodeView {
  /** The frame of executable code at an address, if it is decoded from and watched for changes; else 0. */
  frame(rip: number): number;
  /** Whether code has run there; `branched`: because branches led there more than a few times. */
  seen(rip: number, branched: boolean): boolean;
  /** Whether another region is entered there. */
  translated(rip: number): boolean;
  /** Addresses on the page that indirect jumps have led to more than a few times. */
  targets(page: number): readonly number[];
}

/** A decoded instruction, on its own. */
export interface Insn {
  readonly rip: number;
  readonly next: number;
  /** Null: the interpreter runs it. In a run, that of arithmetic is one that assumes. */
  template: Template | null;
  readonly operands: readonly { readonly kind: string; readonly cls: RegisterClass; readonly reg: number }[];
  readonly address_size: number;
  readonly segment: number;
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly rip_relative: boolean;
  readonly displacement: bigint;
  readonly imm: bigint;
  readonly imm2: number;
  /** Target of a direct branch, -1 without. */
  readonly target: number;
  /** Flags are looked at before they are all set again. Found by the flow analysis. */
  live_flags: boolean;
  /** The run that it is in (runs.ts). */
  run: Run | null;
}

export interface Block {
  readonly id: number;
  readonly rip: number;
  readonly insns: Insn[];
  /** Instructions that its fuel pays for: all but a last one that the interpreter runs. */
  fuel: number;
  /** Blocks it goes to: taken, not taken; -1 outside the region. */
  taken: number;
  next: number;
  /** Blocks that it may return to (returns.ts). */
  readonly returns: number[];
  /** It belongs to another place; this copy is only returned to. */
  readonly copied: boolean;
}

export interface Region {
  readonly blocks: readonly Block[];
  /** Blocks where the region may be entered; the first is the hot one. */
  readonly entries: readonly number[];
  /** Virtual pages and their frames. */
  readonly pages: ReadonlyMap<number, number>;
  /** Returns and indirect jumps look for their targets among the entries. */
  readonly dispatches: boolean;
}

/** Upper 32 bits of an address: the same in all of a region. */
export function high_half(rip: number): number {
  return Math.floor(rip / 2 ** 32);
}

function bigint_of(lo: number, hi: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo >>> 0);
}

/**
 * Decodes the instruction at `rip` into `out`, from one page into the next if need be; its length, or 0. `frame_of` has
 * the frame of an address, 0 without.
 */
export function decode_at(frame_of: (rip: number) => number, rip: number, out: Instruction): number {
  const frame = frame_of(rip);
  if (frame === 0) return 0;
  const at = frame + (rip % PAGE);
  const length = decode(U8, at, frame + PAGE, out);
  const here = PAGE - (rip % PAGE);
  if (length > 0 || here >= MAX_LENGTH) return Math.max(length, 0);
  const next = frame_of(rip + here);
  if (next === 0) return 0;
  return Math.max(decode_crossing(U8, at, here, next, out), 0);
}

function copy(instruction: Instruction, rip: number): Insn {
  const { row } = instruction;
  const relative = instruction.operand_count > 0 && instruction.operands[0]!.kind === 'rel';
  const moved = row.semantics === 'pop' && instruction.base === 4 ? instruction.operand_size : 0;
  return {
    rip,
    next: rip + instruction.length,
    template: template_of(row, variant_of(instruction)),
    operands: instruction.operands
      .slice(0, instruction.operand_count)
      .map(({ kind, cls, reg }) => ({ kind, cls, reg })),
    address_size: instruction.address_size,
    segment: row.semantics === 'lea' ? -1 : instruction.segment,
    base: instruction.base,
    index: instruction.index,
    scale: instruction.scale_shift,
    rip_relative: instruction.rip_relative,
    displacement: bigint_of(instruction.displacement, instruction.displacement_hi) + BigInt(moved),
    imm: bigint_of(instruction.imm_lo, instruction.imm_hi),
    imm2: instruction.imm2,
    target: relative ? rip + instruction.length + instruction.imm_lo : -1,
    live_flags: true,
    run: null,
  };
}

const decoded = new_instruction();

/** The instruction at an address on its own, null where none can be decoded; `frame_of` as for `decode_at`. */
export function decode_insn(frame_of: (rip: number) => number, rip: number): Insn | null {
  return decode_at(frame_of, rip, decoded) > 0 ? copy(decoded, rip) : null;
}

class Builder {
  private readonly code: CodeView;
  private readonly limits: RegionLimits;
  private readonly insns = new Map<number, Insn>();
  /** Instructions that count towards the limit. */
  private counted = 0;
  private readonly leaders = new Set<number>();
  private readonly entries = new Set<number>();
  private readonly pages = new Map<number, number>();
  private readonly instruction = new_instruction();
  private readonly pending: number[] = [];
  /** Functions called: they come in last. */
  private readonly called: number[] = [];
  private root = 0;
  private returns = false;
  private calls = false;
  private readonly indirect_pages = new Set<number>();
  /** Addresses of copied instructions. */
  private readonly copies = new Set<number>();

  constructor(code: CodeView, limits: RegionLimits) {
    this.code = code;
    this.limits = limits;
  }

  private readonly frame_of = (rip: number): number =>
    this.in_pages(rip) ? (this.pages.get(Math.floor(rip / PAGE)) as number) : 0;

  /** Takes an address in as the beginning of a block, if it may belong to the region; `branched` if a branch leads there. */
  private lead(rip: number, entry: boolean, branched = false): void {
    const translated = rip !== this.root && this.code.translated(rip);
    if (!this.insns.has(rip)) {
      if (translated && this.limits.separate) return;
      if (this.counted >= this.limits.instructions || !this.in_pages(rip) || !this.code.seen(rip, branched)) return;
      this.pending.push(rip);
    }
    this.leaders.add(rip);
    if ((entry || translated) && this.entries.size < this.limits.entries) this.entries.add(rip);
  }

  private in_pages(rip: number): boolean {
    const page = Math.floor(rip / PAGE);
    if (this.pages.has(page)) return true;
    if (this.pages.size >= this.limits.pages || high_half(rip) !== high_half(this.root)) return false;
    const frame = this.code.frame(rip);
    if (frame === 0) return false;
    this.pages.set(page, frame);
    return true;
  }

  /** Decodes what is at an address, if that may belong to the region. */
  private decode(rip: number): boolean {
    return decode_at(this.frame_of, rip, this.instruction) > 0;
  }

  /** Decodes from a leader until something ends the block. */
  private follow(start: number): void {
    if (this.counted >= this.limits.instructions) return;
    let rip = start;
    for (let length = 0; ; length++) {
      if (this.insns.has(rip)) {
        // Runs into known code, which becomes a block of its own.
        if (rip !== start) this.leaders.add(rip);
        return;
      }
      if (this.insns.size >= this.limits.most || !this.decode(rip)) return;
      const insn = copy(this.instruction, rip);
      this.insns.set(rip, insn);
      if (length < LONG_BLOCK) this.counted++;
      if (insn.template === null) {
        this.lead(insn.next, true);
        return;
      }
      const { row } = this.instruction;
      if ((row.attributes & ATTR_BRANCH) !== 0) {
        this.branch(insn, row.semantics);
        return;
      }
      rip = insn.next;
    }
  }

  private branch(insn: Insn, semantics: string): void {
    if (semantics === 'call') {
      this.lead(insn.next, true);
      if (insn.target >= 0) {
        this.calls = true;
        this.called.push(insn.target);
      }
    } else if (semantics === 'syscall') this.lead(insn.next, true);
    else if (semantics === 'ret') this.returns = true;
    else if (semantics === 'jmp' && insn.target < 0) this.indirect_pages.add(Math.floor(insn.rip / PAGE));
    else if (semantics !== 'ret' && insn.target >= 0) {
      this.lead(insn.target, false, true);
      if (semantics !== 'jmp') this.lead(insn.next, false);
    }
  }

  /** What is nearest comes first, in case the limits are reached. */
  private follow_all(): void {
    for (let i = 0; i < this.pending.length; i++) this.follow(this.pending[i] as number);
    this.pending.length = 0;
  }

  /** Takes the likely targets of an indirect jump in; the set of pages grows meanwhile. */
  private lead_targets(page: number): void {
    for (let near = page - TARGET_PAGES; near <= page + TARGET_PAGES; near++)
      for (const target of this.code.targets(near)) this.lead(target, true);
    this.follow_all();
  }

  /** Whether a call ends at an address. */
  private is_behind_call(rip: number): boolean {
    const frame = this.pages.get(Math.floor(rip / PAGE)) ?? 0;
    for (let length = 2; length < LONGEST_CALL && length <= rip % PAGE; length++) {
      const at = frame + (rip % PAGE) - length;
      if (decode(U8, at, frame + PAGE, this.instruction) !== length) continue;
      if (this.instruction.row.semantics === 'call') return true;
    }
    return false;
  }

  /** Takes in a copy of what a return leads to, unless it belongs to the region. */
  private copy_from(rip: number): void {
    if (rip <= 0 || !this.code.seen(rip, false) || !this.in_pages(rip) || !this.is_behind_call(rip)) return;
    const pending = [rip];
    for (const start of pending) {
      if (this.insns.has(start)) {
        this.leaders.add(start);
        continue;
      }
      const block = this.whole_block(start, MAX_COPIED - this.copies.size);
      for (const insn of block) {
        this.insns.set(insn.rip, insn);
        this.copies.add(insn.rip);
      }
      const last = block.at(-1);
      if (last === undefined) continue;
      this.leaders.add(start);
      const semantics = is_branch(last) ? last.template!.form.row.semantics : '';
      if (semantics === '') this.leaders.add(last.next);
      else if (last.target >= 0 && semantics !== 'call')
        for (const to of semantics === 'jmp' ? [last.target] : [last.target, last.next])
          if (this.code.seen(to, false)) pending.push(to);
    }
  }

  /**
   * The instructions from an address up to a branch or to code of the region; none if they are more than `limit`, since a
   * region that ends in the middle of a block leaves for the interpreter.
   */
  private whole_block(start: number, limit: number): Insn[] {
    const block: Insn[] = [];
    for (let at = start; ; ) {
      if (this.insns.has(at)) return block;
      if (block.length >= limit || !this.decode(at)) return [];
      const insn = copy(this.instruction, at);
      if (insn.template === null) return [];
      block.push(insn);
      if (is_branch(insn)) return block;
      at = insn.next;
    }
  }

  build(root: number, return_address: number): Region | null {
    this.root = root;
    this.lead(root, true);
    this.follow_all();
    for (const page of this.indirect_pages) this.lead_targets(page);
    for (let i = 0; i < this.called.length; i++) {
      this.lead(this.called[i] as number, false, true);
      this.follow_all();
    }
    this.copy_from(return_address);
    const starts = [...this.leaders].filter((rip) => this.insns.has(rip)).sort((a, b) => a - b);
    const ids = new Map(starts.map((rip, id) => [rip, id]));
    const blocks = starts.map((rip, id) => this.block(rip, id, ids));
    const root_id = ids.get(root);
    if (root_id === undefined || blocks[root_id]!.fuel === 0) return null;
    predict_returns(blocks, ids, root_id, ids.get(return_address) ?? -1);
    const entries = [root_id];
    for (const rip of this.entries) {
      const id = ids.get(rip);
      // A block that begins with an instruction of the interpreter is not worth entering.
      if (id !== undefined && id !== root_id && blocks[id]!.fuel > 0) entries.push(id);
    }
    const dispatches = this.indirect_pages.size > 0 || (this.returns && this.calls);
    return { ...reachable(blocks, entries), pages: this.pages, dispatches };
  }

  private block(rip: number, id: number, ids: ReadonlyMap<number, number>): Block {
    const insns: Insn[] = [];
    let at = rip;
    const block: Block = { id, rip, insns, fuel: 0, taken: -1, next: -1, returns: [], copied: this.copies.has(rip) };
    for (;;) {
      const insn = this.insns.get(at);
      if (insn === undefined) break;
      insns.push(insn);
      if (insn.template === null) break;
      block.fuel++;
      if (is_branch(insn)) {
        const { semantics } = insn.template.form.row;
        if (semantics !== 'ret' && insn.target >= 0) {
          block.taken = ids.get(insn.target) ?? -1;
          if (semantics !== 'jmp' && semantics !== 'call') block.next = ids.get(insn.next) ?? -1;
        }
        break;
      }
      at = insn.next;
      const known = ids.get(at);
      if (known !== undefined) {
        block.next = known;
        break;
      }
    }
    return block;
  }
}

/** The blocks that the entries lead to, numbered anew, with the entries' new numbers. */
function reachable(blocks: readonly Block[], entries: readonly number[]): Pick<Region, 'blocks' | 'entries'> {
  const seen = new Set(entries);
  // A set iterates over what is added meanwhile.
  for (const id of seen) for (const to of successors_of(blocks[id] as Block)) seen.add(to);
  const kept = blocks.filter((block) => seen.has(block.id));
  const ids = new Map(kept.map((block, id) => [block.id, id]));
  const id_of = (id: number): number => (id < 0 ? -1 : (ids.get(id) as number));
  return {
    blocks: kept.map((block, id) => ({
      ...block,
      id,
      taken: id_of(block.taken),
      next: id_of(block.next),
      returns: block.returns.map(id_of),
    })),
    entries: entries.map(id_of),
  };
}

/** Blocks of the region that a block goes to. */
export function successors_of(block: Block): number[] {
  const out: number[] = [];
  if (block.taken >= 0) out.push(block.taken);
  if (block.next >= 0 && block.next !== block.taken) out.push(block.next);
  out.push(...block.returns);
  return out;
}

/** Whether the instruction is a translated branch. */
export function is_branch(insn: Insn): boolean {
  return insn.template !== null && (insn.template.form.row.attributes & ATTR_BRANCH) !== 0;
}

/**
 * The region around a hot instruction; null where nothing is to be gained. If a function begins there, it will return to
 * `return_address`; otherwise that is any number.
 */
export function build_region(
  code: CodeView,
  root: number,
  limits: RegionLimits,
  return_address: number,
): Region | null {
  return new Builder(code, limits).build(root, return_address);
}
