/**
 * Which accesses of a region share one look into the TLB.
 *
 * Code reaches the fields of a structure, or the slots of its stack frame, by small distances from one address. Where
 * several accesses do, the first one looks up all the bytes between the lowest and the highest of them, a *window*, and
 * keeps their machine address in a local; the others need no look. A window that crosses a page boundary is given up
 * for good: the region is left, and made again without it. What a loop goes through step by step has none from the
 * start, since it comes to such a boundary sooner or later.
 *
 * Addresses are told apart by value numbers: a *version* stands for one value of a register, and a symbol is a version
 * plus a constant. A window is known where every way has looked it up since its version came about. What is mapped
 * behind it cannot change meanwhile: regions are left where the vCPU is interrupted, and by each access that called the
 * kernel (`access` in interp/runtime.ts).
 */
import { RSP } from '../../machine/cpu.layout.ts';
import { SEGMENT_FS } from '../../x86/instruction.ts';
import type { Value } from '../../x86/ir.ts';
import type { Statement } from '../../x86/statement.ts';
import { constant_of } from './constant.ts';
import { type Block, type Insn, type Region, successors_of } from './region.ts';
import { gpr_of } from './template.ts';

/** Bytes of a window at most: of objects at any place, one in sixty crosses a page. */
const MAX_SPAN = 64;
/** The same where the stack pointer leads: a frame stays where it is. */
const MAX_STACK_SPAN = 256;
const PAGE = 4096;
const GPRS = 16;
/** Beyond this a constant is taken for part of an unknown value. */
const MAX_DELTA = 2 ** 46;

/** How an access gets at its bytes. */
export interface WindowUse {
  readonly window: Window;
  /** Of the access in the window. */
  readonly offset: number;
  /** What the TLB is asked first; null: the window is known. */
  check: 'read' | 'write' | null;
}

export interface Window {
  /** Names its local: windows that are never known at once may have the same. */
  readonly id: number;
  readonly span: number;
}

export type WindowUses = ReadonlyMap<Insn, ReadonlyMap<Statement, WindowUse>>;

/** A value: that of a version, plus a constant. */
interface Symbol {
  readonly version: number;
  readonly delta: number;
}

/** The version of addresses that are known, and of the base of FS. Those of registers are counted from FIRST on. */
const ABSOLUTE = 0;
const FS_BASE = 1;
const FIRST = 16;

type Access = Extract<Statement, { kind: 'load' | 'store' | 'resolve' }>;

type Event =
  | { readonly kind: 'access'; readonly insn: Insn; readonly statement: Access; readonly symbol: Symbol }
  | { readonly kind: 'new'; readonly version: number };

function is_access(s: Statement): s is Access {
  return s.kind === 'load' || s.kind === 'store' || s.kind === 'resolve';
}

function is_write(s: Access): boolean {
  return s.kind === 'store' || (s.kind === 'resolve' && s.write);
}

function signed(v: bigint): number {
  return Number(BigInt.asIntN(64, v));
}

/** Follows what the registers hold through the blocks of a region. */
class Numbering {
  private readonly region: Region;
  /** Registers when each block begins; null while no way to it is known. */
  private readonly states: (Symbol[] | null)[];
  private readonly entries: ReadonlySet<number>;
  /** Sums of two versions, by what they are made of. */
  private readonly sums = new Map<string, number>();
  readonly parts = new Map<number, readonly number[]>();
  /** Versions that a loop adds a constant to. */
  private readonly stepped = new Set<number>();
  private readonly insn_numbers = new Map<Insn, number>();
  private next_sum = 0;
  private first_insn = 0;
  /** While a block is gone through. */
  private registers: Symbol[] = [];
  private values = new Map<Value, Symbol>();
  private insn!: Insn;
  private events: Event[] | null = null;

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
  private merged(block: number, reg: number): Symbol {
    return { version: FIRST + block * GPRS + reg, delta: 0 };
  }

  /** The events of every block, once what the registers hold is known. */
  run(): Event[][] {
    const { blocks } = this.region;
    const all = (block: number): Symbol[] => Array.from({ length: GPRS }, (_, reg) => this.merged(block, reg));
    for (const entry of this.entries) this.states[entry] = all(entry);
    const work = [...this.entries];
    while (work.length > 0) {
      const id = work.pop() as number;
      this.go_through(blocks[id] as Block, null);
      for (const to of successors_of(blocks[id] as Block)) if (this.meet(to)) work.push(to);
    }
    return blocks.map((block) => {
      const events: Event[] = [];
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
      const now = this.registers[reg] as Symbol;
      const before = known[reg] as Symbol;
      const merged = this.merged(id, reg);
      if (now.version === merged.version && now.delta !== 0) this.stepped.add(merged.version);
      if (before.version === merged.version || (before.version === now.version && before.delta === now.delta)) continue;
      known[reg] = merged;
      changed = true;
    }
    return changed;
  }

  private go_through(block: Block, events: Event[] | null): void {
    this.registers = [...(this.states[block.id] as Symbol[])];
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
      if (symbol !== null) this.events?.push({ kind: 'access', insn: this.insn, statement: s, symbol });
      return;
    }
    switch (s.kind) {
      case 'if':
        this.statements(s.body, false);
        this.statements(s.otherwise, false);
        return;
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

  private register(reg: number): Symbol {
    return this.registers[reg] as Symbol;
  }

  private bind(v: Value, symbol: Symbol | null): void {
    if (symbol !== null) this.values.set(v, symbol);
  }

  /** What is not known gets the version of this instruction's result. */
  private write(reg: number, symbol: Symbol | null): void {
    const version = this.first_insn + (this.insn_numbers.get(this.insn) as number) * GPRS + reg;
    if (symbol === null) this.events?.push({ kind: 'new', version });
    this.registers[reg] = symbol ?? { version, delta: 0 };
  }

  private symbol(v: Value): Symbol | null {
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

  private effective_address(): Symbol | null {
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
  private sum(base: Symbol, index: Symbol, displacement: number): Symbol | null {
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

function plus(version: number, delta: number): Symbol | null {
  return Math.abs(delta) < MAX_DELTA ? { version, delta } : null;
}

/** A window while it is being made. */
interface Cluster extends Window {
  readonly version: number;
  readonly low: number;
  uses: number;
}

interface Item {
  readonly event: Extract<Event, { kind: 'access' }>;
  readonly low: number;
  readonly high: number;
}

/** Cuts the accesses of one version into clusters that lie close together, from the lowest on. */
function cut(version: number, on_stack: boolean, items: Item[], clusters: Cluster[], of: Map<Event, Cluster>): void {
  items.sort((a, b) => a.low - b.low || a.high - b.high);
  const span = on_stack ? MAX_STACK_SPAN : MAX_SPAN;
  for (let first = 0; first < items.length; ) {
    const { low } = items[first] as Item;
    const limit = version === ABSOLUTE ? Math.min(low + MAX_SPAN, (Math.floor(low / PAGE) + 1) * PAGE) : low + span;
    let high = low;
    let end = first;
    for (; end < items.length && (items[end] as Item).high <= limit; end++) high = Math.max(high, items[end]!.high);
    if (end > first + 1) {
      const cluster: Cluster = { id: clusters.length, span: high - low, version, low, uses: end - first };
      clusters.push(cluster);
      for (let i = first; i < end; i++) of.set(items[i]!.event, cluster);
    }
    first = Math.max(end, first + 1);
  }
}

/** Puts accesses that lie close together into clusters; those of `excluded` instructions, and what is with them, not. */
function make_clusters(numbering: Numbering, events: readonly Event[][], excluded: (rip: number) => boolean) {
  const by_version = new Map<number, Item[]>();
  for (const list of events)
    for (const event of list) {
      if (event.kind !== 'access') continue;
      const { version, delta } = event.symbol;
      if (numbering.is_stepped(version)) continue;
      let items = by_version.get(version);
      if (items === undefined) {
        items = [];
        by_version.set(version, items);
      }
      items.push({ event, low: delta, high: delta + event.statement.size });
    }
  const clusters: Cluster[] = [];
  const of = new Map<Event, Cluster>();
  for (const [version, items] of by_version) cut(version, numbering.is_on_stack(version), items, clusters, of);
  const bad = new Set<Cluster>();
  for (const [event, cluster] of of) if (event.kind === 'access' && excluded(event.insn.rip)) bad.add(cluster);
  for (const [event, cluster] of of) if (bad.has(cluster)) of.delete(event);
  return { clusters, of };
}

/** Windows that are known, for reads and for writes. */
interface Known {
  readonly read: Set<Cluster>;
  readonly write: Set<Cluster>;
}

class Availability {
  private readonly region: Region;
  private readonly events: readonly Event[][];
  private readonly of: ReadonlyMap<Event, Cluster>;
  private readonly by_version = new Map<number, Cluster[]>();
  /** What every way to a block knows; null while no way to it has been gone. */
  private readonly known: (Known | null)[];
  readonly uses = new Map<Insn, Map<Statement, WindowUse>>();

  constructor(
    region: Region,
    events: readonly Event[][],
    of: ReadonlyMap<Event, Cluster>,
    parts: ReadonlyMap<number, readonly number[]>,
  ) {
    this.region = region;
    this.events = events;
    this.of = of;
    this.known = region.blocks.map(() => null);
    for (const cluster of new Set(of.values()))
      for (const version of [cluster.version, ...(parts.get(cluster.version) ?? [])]) {
        const list = this.by_version.get(version);
        if (list === undefined) this.by_version.set(version, [cluster]);
        else list.push(cluster);
      }
  }

  run(): void {
    const entries = new Set(this.region.entries);
    for (const entry of entries) this.known[entry] = { read: new Set(), write: new Set() };
    const work = [...entries];
    while (work.length > 0) {
      const id = work.pop() as number;
      const behind = this.go_through(id, null);
      for (const to of successors_of(this.region.blocks[id] as Block)) if (this.meet(to, behind)) work.push(to);
    }
    for (const { id } of this.region.blocks) if (this.known[id] !== null) this.go_through(id, this.uses);
  }

  private meet(id: number, behind: Known): boolean {
    const known = this.known[id];
    if (known === null || known === undefined) {
      this.known[id] = { read: new Set(behind.read), write: new Set(behind.write) };
      return true;
    }
    const before = known.read.size + known.write.size;
    for (const cluster of known.read) if (!behind.read.has(cluster)) known.read.delete(cluster);
    for (const cluster of known.write) if (!behind.write.has(cluster)) known.write.delete(cluster);
    return known.read.size + known.write.size !== before;
  }

  private go_through(id: number, uses: Map<Insn, Map<Statement, WindowUse>> | null): Known {
    const { read, write } = this.known[id] as Known;
    const now = { read: new Set(read), write: new Set(write) };
    const list = this.events[id] as Event[];
    list.forEach((event, i) => {
      if (event.kind === 'new') {
        for (const cluster of this.by_version.get(event.version) ?? []) {
          now.read.delete(cluster);
          now.write.delete(cluster);
        }
        return;
      }
      const cluster = this.of.get(event);
      if (cluster === undefined) return;
      const check = this.check(cluster, is_write(event.statement), now, list, i);
      now.read.add(cluster);
      if (check === 'write') now.write.add(cluster);
      if (uses !== null) note(uses, event, { window: cluster, offset: event.symbol.delta - cluster.low, check });
    });
    return now;
  }

  /** What an access has to ask. A read asks for what a write behind it in the same block will need. */
  private check(cluster: Cluster, write: boolean, now: Known, list: readonly Event[], i: number): WindowUse['check'] {
    if ((write ? now.write : now.read).has(cluster)) return null;
    if (write) return 'write';
    for (const event of list.slice(i + 1)) {
      if (event.kind === 'new' && this.by_version.get(event.version)?.includes(cluster) === true) break;
      if (event.kind === 'access' && this.of.get(event) === cluster && is_write(event.statement)) return 'write';
    }
    return 'read';
  }
}

function note(
  uses: Map<Insn, Map<Statement, WindowUse>>,
  { insn, statement }: Extract<Event, { kind: 'access' }>,
  use: WindowUse,
): void {
  let of_insn = uses.get(insn);
  if (of_insn === undefined) {
    of_insn = new Map();
    uses.set(insn, of_insn);
  }
  of_insn.set(statement, use);
}

/**
 * The windows of a region: how the accesses that share one get at their bytes. Accesses at instructions that are
 * `excluded` have none, nor those that would share it with them.
 */
export function find_windows(region: Region, excluded: (rip: number) => boolean): WindowUses {
  const numbering = new Numbering(region);
  const events = numbering.run();
  const { of } = make_clusters(numbering, events, excluded);
  const availability = new Availability(region, events, of, numbering.parts);
  availability.run();
  const { uses } = availability;
  const worth = new Set<Window>();
  for (const of_insn of uses.values())
    for (const use of of_insn.values()) if (use.check === null) worth.add(use.window);
  for (const of_insn of uses.values())
    for (const [statement, use] of of_insn) if (!worth.has(use.window)) of_insn.delete(statement);
  return uses;
}
