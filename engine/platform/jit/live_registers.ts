/**
 * Which registers a region has to do with, and which of them it has to load when it is entered: those that some way reads
 * before it has written all of them. V8 cannot leave out a load that nobody needs, since a load may trap.
 */
import type { Statement } from '../../x86/statement.ts';
import { type Insn, type Region, successors_of } from './region.ts';
import { gpr_of, xmm_of } from './template.ts';

/** Bit of an xmm register in a set; general registers come first. */
const XMM_BIT = 16;

export interface Registers {
  readonly gpr_used: ReadonlySet<number>;
  readonly xmm_used: ReadonlySet<number>;
  /** Whether a register must be loaded at the entries. */
  readonly is_live: (kind: 'gpr' | 'xmm', reg: number) => boolean;
}

/** What a run of instructions does to the registers, as bits. */
interface Effect {
  /** Read before they are written. */
  reads: number;
  /** Written as a whole. */
  writes: number;
  /** All that it reads or writes. */
  uses: number;
}

function read(effect: Effect, bit: number): void {
  effect.uses |= 1 << bit;
  effect.reads |= (1 << bit) & ~effect.writes;
}

/** A write of a part leaves the rest, and one that may not happen leaves all: both need what was there. */
function write(effect: Effect, bit: number, whole: boolean): void {
  effect.uses |= 1 << bit;
  if (whole) effect.writes |= 1 << bit;
  else read(effect, bit);
}

function statements(effect: Effect, insn: Insn, list: readonly Statement[], sure: boolean): void {
  for (const s of list)
    if (s.kind === 'if') {
      statements(effect, insn, s.body, false);
      statements(effect, insn, s.otherwise, false);
    } else if (s.kind === 'loop') statements(effect, insn, s.body, false);
    else if (s.kind === 'read_register' || s.kind === 'write_register') {
      const { cls, reg } = insn.operands[s.operand]!;
      const bit = cls === 'xmm' ? XMM_BIT + reg : cls === 'gpr' || cls === 'gpr8h' ? reg : -1;
      if (bit < 0) continue;
      if (s.kind === 'read_register') read(effect, bit);
      else write(effect, bit, sure && s.op.name === (cls === 'xmm' ? 'v128.store' : 'i64.store'));
    } else if (s.kind === 'cpu_load' || s.kind === 'cpu_store') {
      const xmm = xmm_of(s.offset);
      const bit = xmm >= 0 ? XMM_BIT + xmm : gpr_of(s.offset);
      if (bit < 0) continue;
      if (s.kind === 'cpu_load') read(effect, bit);
      else write(effect, bit, sure && s.op.name === (xmm >= 0 ? 'v128.store' : 'i64.store'));
    }
}

function effect_of(insns: readonly Insn[]): Effect {
  const effect = { reads: 0, writes: 0, uses: 0 };
  for (const insn of insns) {
    if (insn.template === null) break;
    if (insn.base >= 0) read(effect, insn.base);
    if (insn.index >= 0) read(effect, insn.index);
    statements(effect, insn, insn.template.ir.body, true);
  }
  return effect;
}

/** The registers of a set whose bits begin at `first`. */
function registers_of(set: number, first: number): ReadonlySet<number> {
  return new Set(Array.from({ length: XMM_BIT }, (_, reg) => reg).filter((reg) => (set & (1 << (first + reg))) !== 0));
}

/** The registers of a region. */
export function find_registers(region: Region): Registers {
  const effects = region.blocks.map(({ insns }) => effect_of(insns));
  const live = effects.map(({ reads }) => reads);
  for (let changed = true; changed; ) {
    changed = false;
    for (let id = region.blocks.length - 1; id >= 0; id--) {
      let behind = 0;
      for (const to of successors_of(region.blocks[id]!)) behind |= live[to] as number;
      const { reads, writes } = effects[id]!;
      const now = reads | (behind & ~writes);
      if (now !== live[id]) changed = true;
      live[id] = now;
    }
  }
  const needed = region.entries.reduce((all, id) => all | (live[id] as number), 0);
  const used = effects.reduce((all, { uses }) => all | uses, 0);
  return {
    gpr_used: registers_of(used, 0),
    xmm_used: registers_of(used, XMM_BIT),
    is_live: (kind, reg) => (needed & (1 << (kind === 'xmm' ? XMM_BIT + reg : reg))) !== 0,
  };
}
