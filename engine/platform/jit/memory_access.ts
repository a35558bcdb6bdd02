/**
 * Accesses of translated code to guest memory: by the TLB, or by a window that is known (windows.ts). What neither has
 * is given up, with the state before the instruction, or resolved by the runtime where that has happened often.
 */
import { assert } from '../../base/assert.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import { ACCESS_READ, ACCESS_WRITE, Vcpu } from '../../machine/vcpu.layout.ts';
import type { Label } from '../../wasm/code.ts';
import { SEGMENT_FS } from '../../x86/instruction.ts';
import type { Value } from '../../x86/ir.ts';
import type { Statement } from '../../x86/statement.ts';
import { CPU, VCPU } from '../interp/dispatch.ts';
import { ACCESS_POINT_SHIFT, ACCESS_SIZE_SHIFT, WINDOW_READS } from '../interp/leave.ts';
import { TLB_ADDEND, TLB_MASK, TLB_READ, TLB_SHIFT, TLB_WRITE } from '../interp/shared.ts';
import { Assumptions } from './assumptions.ts';
import { FlagState } from './flag_state.ts';
import type { Frame } from './frame.ts';
import type { Access } from './numbering.ts';
import type { Insn } from './region.ts';
import { begins_at } from './runs.ts';
import { Values } from './values.ts';
import type { WindowUse, WindowUses } from './windows.ts';

export class MemoryAccess extends Values {
  readonly flags: FlagState;
  readonly assumptions: Assumptions;
  private readonly windows: WindowUses;
  /** Pointers of the instruction that lie in a window. */
  private readonly whole = new Set<Value>();
  /** Beginnings of LOCK sequences that are not closed. */
  protected readonly locks: Label[] = [];
  /** Whether the instruction at an address calls the runtime where the TLB lacks a page, and does not give up. */
  private readonly resolves: (rip: number) => boolean;

  constructor(frame: Frame, windows: WindowUses, resolves: (rip: number) => boolean) {
    super(frame);
    this.windows = windows;
    this.resolves = resolves;
    this.flags = new FlagState(frame);
    this.assumptions = new Assumptions(frame);
  }

  override begin(insn: Insn, retired: number): void {
    super.begin(insn, retired);
    this.whole.clear();
  }

  /** How many accesses of the instruction are to windows that are known. */
  protected known_accesses(): number {
    let known = 0;
    for (const { check } of this.windows.get(this.insn)?.values() ?? []) if (check === null) known++;
    return known;
  }

  /** Lowers a statement that has to do with guest memory. */
  protected memory_statement(s: Statement): void {
    const c = this.c;
    switch (s.kind) {
      case 'address':
        return this.effective_address(s.result);
      case 'load': {
        const use = this.window_use(s);
        this.locate(use, s, false);
        c.op(s.op, use?.offset).set(this.result(s.result));
        return;
      }
      case 'store':
        return this.store(s);
      case 'resolve':
        return this.resolve(s);
      case 'raw_load':
        this.push(s.pointer);
        c.op(s.op).set(this.result(s.result));
        return;
      case 'raw_store':
        this.push(s.pointer);
        this.push(s.value);
        c.op(s.op);
        if (!this.whole.has(s.pointer)) this.commit_if_split(s.pointer, s.size);
        return;
      case 'raw_bulk':
        for (const arg of s.args) this.push(arg);
        c.op(s.op);
        return;
      case 'lock_begin':
        this.locks.push(c.loop());
        this.push(s.pointer);
        c.op(s.size === 8 ? 'i64.load' : `i64.load${s.size * 8}_u`).set(this.result(s.result));
        return;
      case 'lock_end':
        return this.lock_end(s);
      case 'fence':
        c.fence();
        return;
      default:
        assert(false, `statement ${s.kind} is not translated`);
    }
  }

  private lock_end(s: Extract<Statement, { kind: 'lock_end' }>): void {
    this.c.get(VCPU);
    this.push(s.pointer);
    this.push(s.expected);
    this.push(s.value);
    this.frame.call(`cas${s.size * 8}`);
    this.c.op('i32.eqz').br_if(this.locks.pop() as Label);
    this.c.end();
  }

  private effective_address(result: Value): void {
    const { c, insn } = this;
    if (result.uses === 1 && this.needs_no_address(result)) return;
    const narrow = insn.address_size === 4;
    let terms = 0;
    const add = (): void => {
      if (terms++ > 0) c.op('i64.add');
    };
    if (insn.base >= 0) {
      c.get(this.frame.gpr(insn.base));
      add();
    }
    if (insn.index >= 0) {
      c.get(this.frame.gpr(insn.index));
      if (insn.scale > 0) c.i64(insn.scale).op('i64.shl');
      add();
    }
    const displacement = insn.rip_relative ? BigInt(insn.next) + insn.displacement : insn.displacement;
    if (displacement !== 0n || terms === 0) {
      c.i64(BigInt.asIntN(64, displacement));
      add();
    }
    if (narrow) c.i64(0xffff_ffffn).op('i64.and');
    if (insn.segment >= 0) {
      c.get(CPU).op('i64.load', (insn.segment === SEGMENT_FS ? CpuState.fs_base : CpuState.gs_base).offset);
      c.op('i64.add');
    }
    c.set(this.result(result));
  }

  private window_use(s: Statement): WindowUse | undefined {
    return this.windows.get(this.insn)?.get(s);
  }

  /** Whether an address is used by nothing but an access to a window that is known. */
  private needs_no_address(address: Value): boolean {
    for (const [s, use] of this.windows.get(this.insn) ?? [])
      if (use.check === null && (s as { address?: Value }).address === address) return true;
    return false;
  }

  /** Pushes the machine address of a window; the access in it is to `address`. */
  private in_window({ window, offset, check }: WindowUse, address: Value, writes: boolean): void {
    const { c, frame } = this;
    const host = frame.window(window.id);
    if (check === null) {
      c.get(host);
      return;
    }
    let low = this.in_local(address);
    if (offset > 0) {
      c.get(low).i64(offset).op('i64.sub');
      low = this.temporary('i64');
      c.set(low);
    }
    const write = check === 'write';
    const entry = this.tlb_miss(low, window.span, write);
    const resolves = this.resolves_here();
    if (resolves) {
      c.if_unlikely();
      c.get(VCPU).get(low).i32(this.access_word(window.span, write));
      c.i32(write && !writes ? offset | WINDOW_READS : offset);
      frame.call('window').tee(host);
      frame.give_up_if_zero();
      c.else();
    } else frame.give_up_if_missed(this.point());
    this.push_host(low, entry);
    c.set(host);
    if (resolves) c.end();
    c.get(host);
  }

  /** Pushes the machine address of an access, or of the window that it is in. */
  private locate(use: WindowUse | undefined, { address, size }: Access, writes: boolean): void {
    if (use !== undefined) this.in_window(use, address, writes);
    else this.translate(this.in_local(address), size, writes);
  }

  private resolve(s: Extract<Statement, { kind: 'resolve' }>): void {
    const { c } = this;
    const use = this.window_use(s);
    this.locate(use, s, s.write);
    if (use !== undefined) {
      if (use.offset > 0) c.i32(use.offset).op('i32.add');
      this.whole.add(s.result);
    }
    c.set(this.result(s.result));
  }

  /** Pushes whether the TLB misses; answers the local with the entry's address. */
  private tlb_miss(address: number, size: number, write: boolean): number {
    const c = this.c;
    const entry = this.temporary('i32');
    c.get(address).op('i32.wrap_i64').i32(TLB_SHIFT).op('i32.shr_u').i32(TLB_MASK).op('i32.and');
    c.get(VCPU)
      .op('i32.add')
      .tee(entry)
      .op('i64.load', write ? TLB_WRITE : TLB_READ);
    c.get(address);
    if (size > 1) c.i64(size - 1).op('i64.add');
    c.i64(~0xfffn).op('i64.and').op('i64.ne');
    return entry;
  }

  /** Pushes the machine address that a TLB entry has for a guest address. */
  private push_host(address: number, entry: number): void {
    this.c.get(address).op('i32.wrap_i64').get(entry).op('i32.load', TLB_ADDEND).op('i32.add');
  }

  /** Resolves an access beyond the TLB into a local, or leaves. */
  private slow_pointer(address: number, size: number, write: boolean): number {
    const { c, frame } = this;
    const pointer = this.temporary('i32');
    c.get(VCPU).get(address).i32(this.access_word(size, write));
    frame.call('access').tee(pointer);
    frame.give_up_if_zero();
    return pointer;
  }

  /** Whether the instruction calls the runtime where the TLB lacks a page, and does not give up. */
  private resolves_here(): boolean {
    return this.resolves(begins_at(this.insn));
  }

  /** Where the region may give the instruction up. */
  private point(): number {
    const { run, rip } = this.insn;
    return run !== null ? this.assumptions.point : this.frame.point(rip, this.retired, this.flags);
  }

  /** What an access is, and where the region may give it up. */
  private access_word(size: number, write: boolean): number {
    return (this.point() << ACCESS_POINT_SHIFT) | (size << ACCESS_SIZE_SHIFT) | (write ? ACCESS_WRITE : ACCESS_READ);
  }

  /** Pushes the machine address of guest bytes. */
  private translate(address: number, size: number, write: boolean): void {
    const c = this.c;
    const entry = this.tlb_miss(address, size, write);
    if (!this.resolves_here()) {
      this.frame.give_up_if_missed(this.point());
      this.push_host(address, entry);
      return;
    }
    c.if_unlikely('i32');
    c.get(this.slow_pointer(address, size, write));
    c.else();
    this.push_host(address, entry);
    c.end();
  }

  private store(s: Extract<Statement, { kind: 'store' }>): void {
    const c = this.c;
    const use = this.window_use(s);
    const value = this.constant(s.value) === undefined ? this.in_local(s.value) : -1;
    const push = (): void => {
      if (value < 0) this.push(s.value);
      else c.get(value);
    };
    if (use !== undefined || !this.resolves_here()) {
      this.locate(use, s, true);
      push();
      c.op(s.op, use?.offset);
      return;
    }
    const address = this.in_local(s.address);
    const entry = this.tlb_miss(address, s.size, true);
    c.if_unlikely();
    const pointer = this.slow_pointer(address, s.size, true);
    c.get(pointer);
    push();
    c.op(s.op);
    if (s.size > 1) {
      c.get(VCPU).get(pointer).i32(s.size);
      this.frame.call('stored');
    }
    c.else();
    this.push_host(address, entry);
    push();
    c.op(s.op);
    c.end();
  }

  /** Behind a store through a pointer of any origin. */
  private commit_if_split(pointer: Value, size: number): void {
    if (size === 1 || !this.resolves_here()) return;
    const { c } = this;
    const local = this.in_local(pointer);
    c.get(VCPU).i32(Vcpu.bounce.offset).op('i32.add').get(local).op('i32.eq').open_if_unlikely();
    c.get(VCPU).get(local).i32(size);
    this.frame.call('stored').end();
  }
}
