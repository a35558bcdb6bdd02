/**
 * What a region's code needs to know of the whole graph: where flags are live and of which kind they are when a block
 * begins, how many instructions may go by before fuel is looked at again, and which registers it touches.
 */
import { FLAGS_RAW, FLAGS_SAR, FLAGS_SHL } from '../../x86/flags.ts';
import type { Statement } from '../../x86/statement.ts';
import { flags_kind } from '../interp/leave.ts';
import { constant_of } from './constant.ts';
import { find_registers, type Registers } from './live_registers.ts';
import { type Block, type Insn, is_branch, type Region, successors_of } from './region.ts';
import { is_return } from './returns.ts';
import { is_flags_field, type Template, touches_flags } from './template.ts';

/** Flags are in the kind local: it differs by the way that led here. */
export const KIND_DYNAMIC = -1;
/** Flags are where they were when the region was entered: in the vCPU if another region led here, else raw. */
export const KIND_PASSED = -3;
/** Nobody looks at the flags. */
export const KIND_DEAD = -2;
export const KIND_RAW = flags_kind(FLAGS_RAW, 1);

/** Instructions of a block from which on fuel is looked at behind it. */
const LONG_BLOCK = 128;

export interface Flow extends Registers {
  /** Kind of the flags at the beginning of each block. */
  readonly kinds: readonly number[];
  /** Blocks at whose beginning fuel is looked at. */
  readonly looks: ReadonlySet<number>;
  /** How much fuel the longest way from the beginning of a block to the next look needs to have left at the end. */
  readonly lengths: readonly number[];
  /** Whether flags stay in memory (KIND_PASSED) at every entry; otherwise they are loaded there, and KIND_DYNAMIC. */
  readonly passed: boolean;
}

/** A shift by a constant of zero leaves the flags as they are. */
export function keeps_flags(s: Extract<Statement, { kind: 'lazy_flags' }>, insn: Insn): boolean {
  return s.op >= FLAGS_SHL && s.op <= FLAGS_SAR && constant_of(s.args[1]!, insn) === 0n;
}

/** Whether an `if` only writes flags, and nobody looks at them. */
export function is_idle(s: Statement, insn: Insn): boolean {
  return !insn.live_flags && insn.template!.flags_only.has(s);
}

function sets_all_flags(insn: Insn, template: Template): boolean {
  if (!template.sets_flags || template.reads_flags) return false;
  return !template.ir.body.some((s) => s.kind === 'lazy_flags' && keeps_flags(s, insn));
}

/** Marks each instruction whose flags are looked at; answers whether they are when each block begins. */
function find_live_flags(region: Region, looks: ReadonlySet<number>): boolean[] {
  const live_in = region.blocks.map(() => false);
  let changed = true;
  while (changed) {
    changed = false;
    for (let id = region.blocks.length - 1; id >= 0; id--) {
      const block = region.blocks[id] as Block;
      // Where fuel is looked at the region may be left.
      const live = live_before(block, live_after(block, live_in)) || looks.has(id);
      if (live !== live_in[id]) changed = true;
      live_in[id] = live;
    }
  }
  return live_in;
}

/** Every way out of the region looks at them. */
function live_after(block: Block, live_in: readonly boolean[]): boolean {
  const last = block.insns.at(-1);
  const conditional = last?.template?.ir.body.some((s) => s.kind === 'branch' && s.condition !== null) === true;
  if (is_return(block) || (block.next < 0 && block.taken < 0)) return true;
  if (conditional && (block.next < 0 || block.taken < 0)) return true;
  return successors_of(block).some((to) => live_in[to]);
}

function live_before(block: Block, after: boolean): boolean {
  let live = after;
  for (let i = block.insns.length - 1; i >= 0; i--) {
    const insn = block.insns[i] as Insn;
    insn.live_flags = live;
    const { template } = insn;
    if (template === null) live = true;
    else {
      if (sets_all_flags(insn, template)) live = false;
      if (template.reads_flags || template.may_leave) live = true;
    }
  }
  return live;
}

/** Kind of the flags behind an instruction whose flags are live. */
export function kind_after(insn: Insn, before: number): number {
  if (insn.template === null) return before;
  let kind = before;
  for (const s of insn.template.ir.body) kind = kind_behind(s, insn, kind);
  return kind;
}

function kind_behind(s: Statement, insn: Insn, kind: number): number {
  switch (s.kind) {
    case 'lazy_flags':
      return insn.live_flags && !keeps_flags(s, insn) ? flags_kind(s.op, s.size) : kind;
    case 'if':
    case 'loop':
      return touches_flags(s) && !is_idle(s, insn) ? KIND_RAW : kind;
    case 'cpu_store':
      return insn.live_flags && is_flags_field(s.offset) ? KIND_RAW : kind;
    case 'cpu_load':
      return is_flags_field(s.offset) ? KIND_RAW : kind;
    case 'flag':
    case 'condition':
      return kind === KIND_DYNAMIC || kind === KIND_PASSED ? KIND_RAW : kind;
    default:
      return kind;
  }
}

/** Kinds of flags when blocks begin, if they are `entered` at each entry. */
function find_kinds(region: Region, live_in: readonly boolean[], entered: number): number[] {
  const kinds: (number | null)[] = region.blocks.map(() => null);
  const meet = (id: number, kind: number): boolean => {
    const known = kinds[id] as number | null;
    const now = known === null || known === kind ? kind : KIND_DYNAMIC;
    kinds[id] = now;
    return now !== known;
  };
  const work: number[] = [];
  for (const entry of region.entries) if (meet(entry, entered)) work.push(entry);
  while (work.length > 0) {
    const block = region.blocks[work.pop() as number] as Block;
    let kind = kinds[block.id] as number;
    for (const insn of block.insns) kind = kind_after(insn, kind);
    for (const to of successors_of(block)) if (meet(to, kind)) work.push(to);
  }
  return kinds.map((kind, id) => (live_in[id] ? (kind ?? KIND_RAW) : KIND_DEAD));
}

/**
 * The blocks at which fuel is looked at: `headers`, where loops begin, and those that long blocks branch to. A region is
 * left where fuel does not last until the next look, and the rest of the slice is the interpreter's.
 */
function find_looks(region: Region, headers: ReadonlySet<number>): Set<number> {
  const looks = new Set(headers);
  for (const block of region.blocks)
    if (block.fuel >= LONG_BLOCK && ends_with_branch(block)) for (const to of successors_of(block)) looks.add(to);
  return looks;
}

function ends_with_branch(block: Block): boolean {
  const last = block.insns.at(-1);
  return last !== undefined && is_branch(last);
}

/**
 * Instructions from the beginning of each block to the last block boundary on any way before the next look. There the
 * interpreter would ask whether fuel is left, and the region does not; at the look itself it does.
 */
function find_lengths(region: Region, looks: ReadonlySet<number>): number[] {
  const lengths: number[] = region.blocks.map(() => -1);
  const visit = (root: number): void => {
    // Without edges to looks the graph has no cycles.
    const stack = [root];
    while (stack.length > 0) {
      const id = stack.at(-1) as number;
      const block = region.blocks[id] as Block;
      const successors = successors_of(block);
      const ahead = successors.filter((to) => !looks.has(to));
      const unknown = ahead.filter((to) => lengths[to]! < 0);
      if (unknown.length > 0) {
        stack.push(...unknown);
        continue;
      }
      // What runs into a look is at no boundary there, and must not be taken for being at one.
      const runs_on = successors.length > ahead.length && !ends_with_branch(block);
      lengths[id] = Math.max(runs_on ? block.fuel : 0, ...ahead.map((to) => block.fuel + (lengths[to] as number)));
      stack.pop();
    }
  };
  region.blocks.forEach((_, id) => {
    if (lengths[id]! < 0) visit(id);
  });
  return lengths;
}

/** Analyses a region; `headers` are the blocks with which its loops begin. Sets `Insn.live_flags`. */
export function analyse(region: Region, headers: ReadonlySet<number>): Flow {
  const looks = find_looks(region, headers);
  const live_in = find_live_flags(region, looks);
  let kinds = find_kinds(region, live_in, KIND_PASSED);
  // Where ways within the region lead to an entry, too, flags are best loaded once, in front of it.
  const passed = region.entries.every((id) => kinds[id] === KIND_PASSED || kinds[id] === KIND_DEAD);
  if (!passed) kinds = find_kinds(region, live_in, KIND_DYNAMIC);
  return { kinds, looks, lengths: find_lengths(region, looks), passed, ...find_registers(region) };
}
