/**
 * Value numbers of addresses: a *version* stands for one value of a register, or for the sum of two, and what a register
 * holds is a version plus a constant, followed through the blocks of a region.
 */
import { RSP } from '../../machine/cpu.layout.ts';
import { SEGMENT_FS } from '../../x86/instruction.ts';
import type { Value } from '../../x86/ir.ts';
import type { Statement } from '../../x86/statement.ts';
import { constant_of } from './constant.ts';
import { type Block, type Insn, type Region, successors_of } from './region.ts';
import { gpr_of } from './template.ts';

const GPRS = 16;
/** Beyond this a constant is taken for part of an unknown value. */
const MAX_DELTA = 2 ** 46;

/** A value: that of a version, plus a constant. */
export interface Numbered {
  readonly version: number;
  readonly delta: number;
}

/** The version of addresses that are known, and of the base of FS. Those of registers are counted from FIRST on. */
export const ABSOLUTE = 0;
const FS_BASE = 1;
const FIRST = 16;

export type Access = Extract<Statement, { kind: 'load' | 'store' | 'resolve' }>;

/** What happens in a block, in order: accesses to known addresses, and versions that get a new value. */
export type Step =
  | { readonly kind: 'access'; readonly insn: Insn; readonly statement: Access; readonly at: Numbered }
  | { readonly kind: 'new'; readonly version: number };

/** Whether a statement gets at guest memory by an address. */
export function is_access(s: Statement): s is Access {
  return s.kind === 'load' || s.kind === 'store' || s.kind === 'resolve';
}

function signed(v: bigint): number {
  return Number(BigInt.asIntN(64, v));
}

/** Follows what the registers hold through the blocks of a region. */
export class Numbering {
  private readonly region: Region;
  /** Registers when each block begins; null while no way to it is known. */
  private readonly states: (Numbered[] | null)[];
  private readonly entries: ReadonlySet<number>;
  /** Sums of two versions, by what they are made of, and what that is. */
  private readonly sums = new Map<string, number>();
  readonly parts = new Map<number, readonly number[]>();
  /** Versions that a loop adds a constant to. */
  private readonly stepped = new Set<number>();
  private readonly insn_numbers = new Map<Insn, number>();
  private next_sum = 0;
  private first_insn = 0;
  /** While a block is gone through. */
  private registers: Numbered[] = [];
  private values = new Map<Value, Numbered>();
  private insn!: Insn;
  private events: Step[] | null = null;

  constructor(region: Region) {
    this.region = region;
    this.states = region.blocks.map(() => null);
    this.entries = new Set(region.entries);
    this.first_insn = FIRST + region.blocks.length * GPRS;
    let count = 0;
    for (const block of region.blocks) for (const insn of block.insns) this.insn_numbers.set(insn, count++);
    this.next_sum = this.first_insn + count * GPRS;
  }

  /** The version that a register has where different ones come together at a block. */
  private merged(block: number, reg: number): Numbered {
    return { version: FIRST + block * GPRS + reg, delta: 0 };
  }

  /** The events of every block, once what the registers hold is known. */
  run(): Step[][] {
    const { blocks } = this.region;
    const all = (block: number): Numbered[] => Array.from({ length: GPRS }, (_, reg) => this.merged(block, reg));
    for (const entry of this.entries) this.states[entry] = all(entry);
    const work = [...this.entries];
    while (work.length > 0) {
      const id = work.pop() as number;
      this.go_through(blocks[id] as Block, null);
      for (const to of successors_of(blocks[id] as Block)) if (this.meet(to)) work.push(to);
    }
    return blocks.map((block) => {
      const events: Step[] = [];
      if (this.states[block.id] === null) return events;
      for (let reg = 0; reg < GPRS; reg++)
        if (this.states[block.id]![reg]!.version === this.merged(block.id, reg).version)
          events.push({ kind: 'new', version: this.merged(block.id, reg).version });
      this.go_through(block, events);
      return events;
    });
  }

  /** Whether a loop goes through memory by this version. */
  is_stepped(version: number): boolean {
    return this.stepped.has(version) || this.parts.get(version)?.some((part) => this.stepped.has(part)) === true;
  }

  /** Whether the version is one of the stack pointer's. */
  is_on_stack(version: number): boolean {
    return version >= FIRST && !this.parts.has(version) && version % GPRS === RSP;
  }

  /** What leads to a block has the present registers; whether that is news. */
  private meet(id: number): boolean {
    const known = this.states[id];
    if (known === null || known === undefined) {
      this.states[id] = [...this.registers];
      return true;
    }
    let changed = false;
    for (let reg = 0; reg < GPRS; reg++) {
      const now = this.registers[reg] as Numbered;
      const before = known[reg] as Numbered;
      const merged = this.merged(id, reg);
      if (now.version === merged.version && now.delta !== 0) this.stepped.add(merged.version);
      if (before.version === merged.version || (before.version === now.version && before.delta === now.delta)) continue;
      known[reg] = merged;
      changed = true;
    }
    return changed;
  }

  private go_through(block: Block, events: Step[] | null): void {
    this.registers = [...(this.states[block.id] as Numbered[])];
    this.events = events;
    for (const insn of block.insns) {
      if (insn.template === null) break;
      this.insn = insn;
      this.values.clear();
      this.statements(insn.template.ir.body, true);
    }
  }

  /** `sure`: whether they are run at all is not in question. */
  private statements(list: readonly Statement[], sure: boolean): void {
    for (const s of list) this.statement(s, sure);
  }

  private statement(s: Statement, sure: boolean): void {
    if (is_access(s)) {
      const symbol = sure ? this.symbol(s.address) : null;
      if (symbol !== null) this.events?.push({ kind: 'access', insn: this.insn, statement: s, at: symbol });
      return;
    }
    switch (s.kind) {
      case 'if':
        this.statements(s.body, false);
        this.statements(s.otherwise, false);
        return;
      case 'loop':
        return this.statements(s.body, false);
      case 'address':
        return this.bind(s.result, this.effective_address());
      case 'read_register': {
        const { cls, reg } = this.insn.operands[s.operand]!;
        if (cls === 'gpr' && s.op.name === 'i64.load' && s.lane_offset === 0) this.bind(s.result, this.register(reg));
        return;
      }
      case 'cpu_load': {
        const reg = s.dynamic === null ? gpr_of(s.offset) : -1;
        if (reg >= 0 && s.op.name === 'i64.load') this.bind(s.result, this.register(reg));
        return;
      }
      case 'write_register': {
        const { cls, reg } = this.insn.operands[s.operand]!;
        if (cls === 'gpr' || cls === 'gpr8h')
          this.write(reg, sure && cls === 'gpr' && s.op.name === 'i64.store' ? this.symbol(s.value) : null);
        return;
      }
      case 'cpu_store': {
        const reg = s.dynamic === null ? gpr_of(s.offset) : -1;
        if (reg >= 0) this.write(reg, sure && s.op.name === 'i64.store' ? this.symbol(s.value) : null);
        return;
      }
    }
  }

  private register(reg: number): Numbered {
    return this.registers[reg] as Numbered;
  }

  private bind(v: Value, symbol: Numbered | null): void {
    if (symbol !== null) this.values.set(v, symbol);
  }

  /** What is not known gets the version of this instruction's result. */
  private write(reg: number, symbol: Numbered | null): void {
    const version = this.first_insn + (this.insn_numbers.get(this.insn) as number) * GPRS + reg;
    if (symbol === null) this.events?.push({ kind: 'new', version });
    this.registers[reg] = symbol ?? { version, delta: 0 };
  }

  private symbol(v: Value): Numbered | null {
    const known = this.values.get(v);
    if (known !== undefined) return known;
    const constant = constant_of(v, this.insn);
    if (constant !== undefined) return typeof constant === 'bigint' ? plus(ABSOLUTE, signed(constant)) : null;
    if (v.kind !== 'op' || (v.op!.name !== 'i64.add' && v.op!.name !== 'i64.sub')) return null;
    const [a, b] = v.args as readonly [Value, Value];
    const left = this.symbol(a);
    const right = this.symbol(b);
    if (left === null || right === null) return null;
    if (right.version === ABSOLUTE)
      return plus(left.version, v.op!.name === 'i64.add' ? left.delta + right.delta : left.delta - right.delta);
    return left.version === ABSOLUTE && v.op!.name === 'i64.add' ? plus(right.version, left.delta + right.delta) : null;
  }

  private effective_address(): Numbered | null {
    const { insn } = this;
    const displacement = signed(insn.displacement);
    if (insn.address_size !== 8) return null;
    if (insn.rip_relative) return insn.segment >= 0 ? null : plus(ABSOLUTE, insn.next + displacement);
    if (insn.segment >= 0) {
      const plain = insn.segment === SEGMENT_FS && insn.base < 0 && insn.index < 0;
      return plain ? plus(FS_BASE, displacement) : null;
    }
    const base = insn.base >= 0 ? this.register(insn.base) : { version: ABSOLUTE, delta: 0 };
    if (insn.index < 0) return plus(base.version, base.delta + displacement);
    return this.sum(base, this.register(insn.index), displacement);
  }

  /** Base plus scaled index: a version of its own. */
  private sum(base: Numbered, index: Numbered, displacement: number): Numbered | null {
    const { scale } = this.insn;
    const delta = base.delta + index.delta * 2 ** scale + displacement;
    if (index.version === ABSOLUTE) return plus(base.version, delta);
    const key = `${base.version},${index.version},${scale}`;
    let version = this.sums.get(key);
    if (version === undefined) {
      version = this.next_sum++;
      this.sums.set(key, version);
      this.parts.set(version, [base.version, index.version]);
    }
    return plus(version, delta);
  }
}

function plus(version: number, delta: number): Numbered | null {
  return Math.abs(delta) < MAX_DELTA ? { version, delta } : null;
}
