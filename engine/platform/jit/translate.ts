/**
 * A region as a WebAssembly module: one function in the shape of an interpreter's handler, which the record of each
 * entry names as its handler.
 *
 *   prologue    fuel, pages still in place (else the interpreter goes on), registers into locals
 *   levels      blocks and loops (structure.ts); fuel and interrupts are looked at where loops begin
 *   chain       where branches out of the region come together: to an entry of this region, of another, or out
 *   end         the ways back to the interpreter: `leave_point` in the middle of a block, else `leave_region`
 */
import { assert } from '../../base/assert.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import { SLOTS_OFFSET, Vcpu } from '../../machine/vcpu.layout.ts';
import { Code, type FunctionRef, type Label } from '../../wasm/code.ts';
import { ModuleBuilder } from '../../wasm/module.ts';
import type { Value } from '../../x86/ir.ts';
import type { Assumption } from '../../x86/statement.ts';
import { WAY_INSIDE, WAY_SWITCH } from '../interp/chain.ts';
import { CPU, FUEL, HANDLER_PARAMS, OP, VCPU } from '../interp/dispatch.ts';
import { look_up } from '../interp/jump_cache.ts';
import { LEAVE_ENTER, LEAVE_JUMP } from '../interp/leave.ts';
import { RECORD_HANDLER } from '../interp/record.ts';
import { analyse, type Flow, KIND_DYNAMIC, KIND_PASSED } from './flow.ts';
import { Frame, type Points } from './frame.ts';
import { Imports } from './imports.ts';
import { DIRECT, INDIRECT } from './links.ts';
import { Lower } from './lower.ts';
import { Prologue, push_entry } from './prologue.ts';
import { type Block, is_branch, type Region, successors_of } from './region.ts';
import { find_runs } from './runs.ts';
import { type Item, type LoopItem, type Structure, structure } from './structure.ts';
import { find_windows, type WindowUses } from './windows.ts';

/** 64 KiB pages of the largest machine memory. */
const MEMORY_PAGES = 65536;

/** Indices of the variables that count what a region does. */
export interface Counters {
  readonly entries: number;
  readonly instructions: number;
}

/** Imports the machine's memory. */
export function import_memory(m: ModuleBuilder): void {
  m.import_memory('env', 'memory', MEMORY_PAGES);
}

/** Imports the counters of a region, whose names end with `suffix`. */
export function import_counters(m: ModuleBuilder, suffix = ''): Counters {
  return {
    entries: m.import_global('counters', `entries${suffix}`, 'i64'),
    instructions: m.import_global('counters', `instructions${suffix}`, 'i64'),
  };
}

/** What a region in a unit knows of the others (unit.ts). */
export interface Neighbours {
  /** Fuel with which any of them may be entered: more than this. */
  readonly longest: number;
  /** The region of the unit that is entered at an address. */
  readonly at: (rip: number) => Neighbour | null;
  /** Where indirect jumps of the region have led, by their slots from `first_slot` on. */
  readonly targets: readonly (FunctionRef | null)[];
  readonly first_slot: number;
}

export interface Neighbour {
  /** Takes the number of the entry, and fuel at its boundary, as handlers take the record and theirs. */
  readonly f: FunctionRef;
  readonly entry: number;
  /** Whether somebody looks at the flags that it is entered with. */
  readonly reads_flags: boolean;
}

/** Longest way from an entry to the next look at fuel. */
export function longest_of(region: Region, flow: Flow): number {
  return Math.max(...region.entries.map((id) => flow.lengths[id] as number));
}

export class Translator {
  private readonly region: Region;
  private readonly shape: Structure;
  private readonly flow: Flow;
  private readonly frame: Frame;
  private readonly lower: Lower;
  private readonly c: Code;
  /** Labels in front of blocks and loops of the open levels, and of the open loops. */
  private readonly fronts = new Map<Item, Label>();
  private readonly loops = new Map<LoopItem, Label>();
  private readonly items = new Map<number, Item>();
  private readonly place: Place;
  private readonly counters: Counters | null;
  private readonly neighbours: Neighbours | null;

  constructor(
    region: Region,
    shape: Structure,
    flow: Flow,
    frame: Frame,
    windows: WindowUses,
    place: Place,
    counters: Counters | null,
    neighbours: Neighbours | null,
  ) {
    this.place = place;
    this.counters = counters;
    this.neighbours = neighbours;
    this.region = region;
    this.shape = shape;
    this.flow = flow;
    this.frame = frame;
    this.c = frame.c;
    this.lower = new Lower(frame, windows, place.resolves);
    this.note_items(shape.items);
  }

  private note_items(items: readonly Item[]): void {
    for (const item of items) {
      if (item.kind === 'block') this.items.set(item.id, item);
      else this.note_items(item.items);
    }
  }

  /** Writes the region's function as a handler. */
  run(): void {
    const { c, frame, region } = this;
    const prologue = new Prologue(c, frame.imports, frame.mark, region);
    if (region.pages.size > 1) prologue.look_at_pages(this.place.number, () => prologue.fall_back());
    prologue.take_fuel(frame.fuel, longest_of(region, this.flow));
    if (region.entries.length > 1) this.take_state(OP);
    this.body();
  }

  /** Writes it as a function of a unit: the first parameter is the number of the entry, and fuel is at its boundary. */
  run_inside(): void {
    const { c, frame } = this;
    c.get(FUEL).set(frame.fuel);
    if (this.region.entries.length > 1) c.get(OP).set(frame.state);
    this.body();
  }

  /** Registers into locals, and all that follows. */
  private body(): void {
    const { c, frame } = this;
    const { entries, dispatches } = this.region;
    if (this.counters !== null) this.count(this.counters.entries, 1);
    frame.load_registers();
    frame.open();
    const again = dispatches ? c.loop() : null;
    frame.open_body();
    this.level(this.shape.items, entries.length > 1 ? entries : []);
    frame.close_body();
    this.chain(again);
    if (again !== null) c.end();
    frame.close(this.place.number);
  }

  /** Goes by what the record in `op` stands for. */
  private take_state(op: number): void {
    push_entry(this.c, op);
    this.c.set(this.frame.state);
  }

  // Levels

  /** A level, with a dispatch on `state` to the given blocks in front of it. */
  private level(items: readonly Item[], dispatched: readonly number[]): void {
    const { c } = this;
    const first = dispatched.length === 0 ? 1 : 0;
    for (let i = items.length - 1; i >= first; i--) this.fronts.set(items[i]!, c.block());
    if (dispatched.length > 0) this.dispatch(dispatched);
    items.forEach((item, i) => {
      if (i >= first) {
        c.end();
        this.fronts.delete(item);
      }
      if (item.kind === 'block') this.block(this.region.blocks[item.id] as Block);
      else this.loop(item);
    });
  }

  private dispatch(blocks: readonly number[]): void {
    const { c, shape } = this;
    const labels: Label[] = [];
    let any: Label | null = null;
    for (const id of blocks) {
      any = this.front(id);
      labels[shape.states.get(id) as number] = any;
    }
    assert(any !== null, 'a dispatch to nowhere');
    for (let i = 0; i < labels.length; i++) labels[i] ??= any;
    c.get(this.frame.state).br_table([...labels, any]);
  }

  /** The label in front of a block, or of the loop around it, on the innermost open level. */
  private front(id: number): Label {
    let item = this.items.get(id) as Item;
    for (;;) {
      const label = this.fronts.get(item);
      if (label !== undefined) return label;
      const around = item.kind === 'block' ? this.shape.loop_of[item.id] : item.parent;
      assert(around !== null && around !== undefined, 'a branch to a level that is closed');
      item = around;
    }
  }

  private loop(item: LoopItem): void {
    const { c } = this;
    this.loops.set(item, c.loop());
    this.level(item.items, item.entries.length > 1 ? item.entries : []);
    c.end();
    this.loops.delete(item);
  }

  /** Goes to a block of the region. */
  private go(id: number): void {
    const { c, shape, frame } = this;
    this.lower.flags.convert(this.flow.kinds[id] as number);
    const around = shape.loop_of[id] ?? null;
    const back = around !== null && around.header === id && this.loops.has(around);
    if (this.needs_state(id)) c.i32(shape.states.get(id) as number).set(frame.state);
    c.br(back ? (this.loops.get(around) as Label) : this.front(id));
  }

  /** Whether a dispatch lies on the way to a block. */
  private needs_state(id: number): boolean {
    let around = this.shape.loop_of[id] ?? null;
    if (around !== null && around.header === id && this.loops.has(around)) return around.entries.length > 1;
    while (around !== null && !this.loops.has(around)) {
      if (around.entries.length > 1) return true;
      around = around.parent;
    }
    return false;
  }

  // Blocks

  private block(block: Block): void {
    const { lower, flow, frame } = this;
    frame.narrow.clear();
    lower.assumptions.reset();
    lower.flags.kind = flow.kinds[block.id] as number;
    if (this.flow.looks.has(block.id)) this.look_at_fuel(block);
    for (const [i, insn] of block.insns.entries()) {
      if (insn.template === null) {
        lower.flags.make_raw_for_exit();
        frame.flush_registers();
        frame.leave(insn.rip, LEAVE_ENTER, i, lower.flags);
        return;
      }
      lower.begin(insn, i);
      lower.instruction(
        (condition) => this.branch(block, condition),
        (target) => this.jump(block, target),
        () => this.syscall(block),
        () => this.look_between(block, insn.rip, i),
      );
      if (is_branch(insn)) return;
    }
    this.spend(block);
    if (block.next >= 0) this.go(block.next);
    else this.leave(block.insns.at(-1)!.next, LEAVE_ENTER);
  }

  /** Goes on only if fuel lasts until the next look, and nobody wants the vCPU. */
  private look_at_fuel(block: Block): void {
    const { c, frame } = this;
    c.get(frame.fuel)
      .i32(this.flow.lengths[block.id] as number)
      .op('i32.le_s');
    c.get(VCPU).op('i32.load', Vcpu.interrupt.offset).op('i32.or').open_if_unlikely();
    this.leave(block.rip, LEAVE_JUMP);
    c.end();
  }

  /** Between the pieces of a repeated instruction, each of which counts as one, `retired` behind the block's beginning. */
  private look_between(block: Block, rip: number, retired: number): void {
    const { c, frame, lower } = this;
    c.get(frame.fuel).i32(1).op('i32.sub').tee(frame.fuel);
    c.i32(Math.max(this.flow.lengths[block.id] as number, retired)).op('i32.le_s');
    c.get(VCPU).op('i32.load', Vcpu.interrupt.offset).op('i32.or').open_if_unlikely();
    frame.leave(rip, LEAVE_JUMP, retired, lower.flags);
    c.end();
  }

  /** Adds to a counter of the region. */
  private count(counter: number, n: number): void {
    this.c.get_global(counter).i64(n).op('i64.add').set_global(counter);
  }

  private spend(block: Block): void {
    const { c, frame } = this;
    frame.flush_registers();
    if (this.counters !== null) this.count(this.counters.instructions, block.fuel);
    if (block.fuel > 0) c.get(frame.fuel).i32(block.fuel).op('i32.sub').set(frame.fuel);
  }

  private branch(block: Block, condition: Value | null): void {
    const { c, lower } = this;
    const last = block.insns.at(-1)!;
    this.spend(block);
    if (condition === null) {
      if (block.taken >= 0) this.go(block.taken);
      else this.chain_to(last.target);
      return;
    }
    lower.push(condition);
    c.if();
    const { kind } = lower.flags;
    if (block.taken >= 0) this.go(block.taken);
    else this.chain_to(last.target);
    c.end();
    lower.flags.kind = kind;
    if (block.next >= 0) this.go(block.next);
    else this.chain_to(last.next);
  }

  private chain_to(rip: number): void {
    const { c, frame, lower, neighbours } = this;
    const to = neighbours === null ? null : neighbours.at(rip);
    if (to !== null) {
      frame.flush_registers();
      if (to.reads_flags && lower.flags.kind !== KIND_PASSED) lower.flags.convert(KIND_DYNAMIC);
      this.push_may_go();
      c.open_if();
      if (to.reads_flags && lower.flags.kind !== KIND_PASSED) frame.pass_flags();
      c.i32(to.entry);
      this.enter(to.f);
      c.end();
    }
    c.i64(rip).set(frame.rip);
    frame.chain(frame.links.way(DIRECT), lower.flags);
  }

  /** Pushes whether any other region of the unit, or this one, may be entered. */
  private push_may_go(): void {
    const { c, frame, neighbours } = this;
    c.get(frame.fuel).i32(neighbours === null ? longest_of(this.region, this.flow) : neighbours.longest);
    c.op('i32.gt_s').get(VCPU).op('i32.load', Vcpu.interrupt.offset).op('i32.eqz').op('i32.and');
  }

  /** Goes to another region of the unit, by the entry whose number is on the stack. */
  private enter(f: FunctionRef): void {
    this.c.get(CPU).get(VCPU).get(this.frame.fuel).i32(0).return_call(f);
  }

  private jump(block: Block, target: Value): void {
    const { frame, lower } = this;
    lower.push(target);
    this.c.set(frame.rip);
    this.spend(block);
    for (const id of block.returns) this.return_to(id);
    const by_jump = block.insns.at(-1)!.template!.form.row.semantics === 'jmp';
    const way = frame.links.way(INDIRECT) | (this.looks_up ? WAY_INSIDE : 0);
    frame.chain(way | (by_jump ? WAY_SWITCH : 0), lower.flags);
  }

  /** Goes to a block of the region if RIP is where it begins. */
  private return_to(id: number): void {
    const { c, frame, lower } = this;
    const { kind } = lower.flags;
    c.get(frame.rip).i64(this.region.blocks[id]!.rip).op('i64.eq').open_if();
    this.go(id);
    c.end();
    lower.flags.kind = kind;
  }

  /**
   * A system call in place, with everything in the register record. What the sentry has changed there (registers, RIP,
   * code, mappings) the way on finds, as after a jump out of the region.
   */
  private syscall(block: Block): void {
    const { c, frame, lower } = this;
    const reason = frame.temporary('i32');
    this.spend(block);
    lower.flags.make_raw();
    frame.store_flags();
    if (this.flow.passed) frame.forget_passed_flags();
    c.get(CPU).get(VCPU).get(frame.fuel).i64(block.insns.at(-1)!.next);
    frame.call('region_syscall').tee(reason).open_if().get(reason).return().end();
    c.get(VCPU).op('i32.load', Vcpu.fuel.offset).set(frame.fuel);
    c.get(CPU).op('i64.load', CpuState.rip.offset).set(frame.rip);
    frame.load_registers();
    lower.flags.kind = this.flow.passed ? KIND_PASSED : KIND_DYNAMIC;
    frame.chain(frame.links.way(DIRECT), lower.flags);
  }

  /** Whether indirect jumps may lead to this region, or to another of its unit: they look in the jump cache first. */
  private get looks_up(): boolean {
    return this.region.dispatches || (this.neighbours?.targets ?? []).some((target) => target !== null);
  }

  /**
   * What branches out of the region come to, with RIP in its local. An indirect jump that likely leads to an entry of this
   * region, or of the unit, looks for it in the jump cache, and goes back to the loop `again` in the first case.
   */
  private chain(again: Label | null): void {
    const { c, frame } = this;
    if (this.looks_up) {
      const op = frame.temporary('i32');
      const slot = frame.temporary('i32');
      const out = c.block();
      c.get(frame.way).i32(WAY_INSIDE).op('i32.and').op('i32.eqz').br_if(out);
      look_up(c, VCPU, frame.rip, slot, op, out);
      this.push_may_go();
      c.op('i32.eqz').br_if_unlikely(out);
      if (again !== null) {
        c.get(op).op('i32.load16_u', RECORD_HANDLER).i32(this.place.handler).op('i32.eq').open_if();
        if (this.flow.passed) frame.pass_flags();
        this.take_state(op);
        c.br(again).end();
      }
      if (this.neighbours !== null) this.dispatch_to_neighbours(this.neighbours, op);
      c.end();
    }
    frame.pass_flags();
    c.get(CPU).get(VCPU).get(frame.fuel).get(frame.rip).get(frame.way);
    frame.return_call('chain');
  }

  /**
   * Goes to the region of the unit that the record in `op` leads to, if it is one of those that have been seen to follow. A
   * jump in the code is foreseen; a call through a table would wait for the record to be read.
   */
  private dispatch_to_neighbours({ targets, first_slot }: Neighbours, op: number): void {
    const { c, frame } = this;
    if (targets.every((target) => target === null)) return;
    frame.pass_flags();
    const elsewhere = c.block();
    const labels = targets.map((target) => (target === null ? elsewhere : c.block()));
    c.get(op).op('i32.load16_u', RECORD_HANDLER).i32(1).op('i32.shl').get(VCPU).op('i32.add');
    c.op('i32.load16_u', SLOTS_OFFSET).i32(first_slot).op('i32.sub');
    c.br_table([...labels, elsewhere]);
    for (let i = targets.length - 1; i >= 0; i--) {
      const target = targets[i] as FunctionRef | null;
      if (target === null) continue;
      c.end();
      push_entry(c, op);
      this.enter(target);
    }
    c.end();
  }

  /** Leaves at the end of a block. */
  private leave(rip: number, reason: number): void {
    this.frame.leave(rip, reason, 0, this.lower.flags);
  }
}

/** Which region it is. */
export interface Place {
  /** Below MAX_REGIONS. */
  readonly number: number;
  /** What will be the index of its function in the table of handlers. */
  readonly handler: number;
  /** The number of the first of its links. */
  readonly first_link: number;
  /** Whether the accesses of the instruction at an address shall share no window with others. */
  readonly excluded: (rip: number) => boolean;
  /** Whether the TLB has so often lacked the page of the instruction's access that the region resolves it in place. */
  readonly resolves: (rip: number) => boolean;
  /** What is assumed of SSE arithmetic at an address. */
  readonly assumption: (rip: number) => Assumption;
}

export interface Translation {
  readonly bytes: Uint8Array;
  readonly points: Points;
  /** How many links it has. */
  readonly links: number;
}

/** A region whose code is about to be written. */
export interface Prepared {
  readonly region: Region;
  readonly place: Place;
  readonly shape: Structure;
  readonly flow: Flow;
}

/** Looks a region over. */
export function prepare(region: Region, place: Place): Prepared {
  const shape = structure(region.blocks.map(successors_of), region.entries);
  return { region, place, shape, flow: analyse(region, shape.headers) };
}

/** Makes the translator of a region that writes `code`, and its frame. */
export function translator_of(
  { region, place, shape, flow }: Prepared,
  code: Code,
  imports: Imports,
  counters: Counters | null,
  neighbours: Neighbours | null,
): { translator: Translator; frame: Frame } {
  const frame = new Frame(code, flow, imports, place.first_link);
  find_runs(region, place.assumption);
  const windows = find_windows(region, place.excluded);
  return { translator: new Translator(region, shape, flow, frame, windows, place, counters, neighbours), frame };
}

/** The name of a region's function, for profiles. */
export function name_of(region: Region): string {
  return `region_${region.blocks[region.entries[0] as number]!.rip.toString(16)}`;
}

/**
 * The module of a region, which exports its function as `f`, and the points where it may give up. If it is `counted`,
 * the module imports counters of its entries and of the instructions of blocks that it has run to their end.
 */
export function translate(region: Region, place: Place, counted = false): Translation {
  const prepared = prepare(region, place);
  const m = new ModuleBuilder();
  import_memory(m);
  const counters = counted ? import_counters(m) : null;
  const code = new Code(HANDLER_PARAMS);
  const { translator, frame } = translator_of(prepared, code, new Imports(m), counters, null);
  translator.run();
  // Behind the imports, which are made while the code is written.
  const f = m.declare(name_of(region), HANDLER_PARAMS, ['i32']);
  m.define(f, code);
  m.export_function('f', f);
  return { bytes: m.build(), points: frame.points, links: frame.links.used };
}
