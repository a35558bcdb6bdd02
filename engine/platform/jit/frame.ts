/**
 * The function of a region while it is being written: its locals, the functions that it calls, and the ways out.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import type { Code, Label } from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import type { Routine } from '../../x86/ir.ts';
import { CPU, VCPU } from '../interp/dispatch.ts';
import { INFO_KIND_SHIFT, INFO_REASON_SHIFT, KIND_KEPT, LEAVE_SLOW, REGION_MISSED } from '../interp/leave.ts';
import type { FlagState } from './flag_state.ts';
import { type Flow, KIND_DYNAMIC, KIND_PASSED } from './flow.ts';
import type { Imports } from './imports.ts';
import { Links } from './links.ts';
import type { Run } from './runs.ts';

function sorted(set: ReadonlySet<number>): number[] {
  return [...set].sort((a, b) => a - b);
}

/** Where a region may give up in the middle of a block, by number: RIP, and the rest as `leave_region` takes it. */
export interface Points {
  readonly rips: number[];
  readonly infos: number[];
  /** Runs that begin at a point. */
  readonly runs: Map<number, Run>;
}

export class Frame {
  readonly c: Code;
  readonly flow: Flow;
  /** Fuel at the beginning of the block. */
  readonly fuel: number;
  /** Which block a dispatch leads to. */
  readonly state: number;
  /** Where and how the region is left; which way out leads to the chain. */
  readonly rip: number;
  readonly way: number;
  private readonly info: number;
  private out: Label | null = null;
  private given_up: Label | null = null;
  private missed: Label | null = null;
  /** The point where the TLB did not have a page; -1 while there is no such point. */
  private missed_point = -1;
  private chained: Label | null = null;
  readonly points: Points = { rips: [], infos: [], runs: new Map() };
  readonly links: Links;
  /** Whether some way to the chain has flags where they were at the entry. */
  private keeps = false;
  /** Kind and operands of the lazy flags. */
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly carry: number;
  /** The parameter of functions of the runtime that nobody looks at: it is never set. */
  readonly mark: number;
  /** General registers whose upper half is zero. */
  readonly narrow = new Set<number>();
  /** Registers whose locals are ahead of the register record, by number. */
  private dirty_gprs = 0;
  private dirty_xmms = 0;
  private readonly gprs = new Map<number, number>();
  private readonly xmms = new Map<number, number>();
  readonly imports: Imports;
  /** Machine addresses of windows, by their ids. */
  private readonly windows = new Map<number, number>();
  private readonly pools = new Map<ValueType, { locals: number[]; used: number }>();

  /** `first_link` is the number of the first of the region's links. */
  constructor(c: Code, flow: Flow, imports: Imports, first_link: number) {
    this.c = c;
    this.flow = flow;
    this.imports = imports;
    for (const reg of sorted(flow.gpr_used)) this.gprs.set(reg, c.local('i64'));
    for (const reg of sorted(flow.xmm_used)) this.xmms.set(reg, c.local('v128'));
    this.fuel = c.local('i32');
    this.state = c.local('i32');
    this.rip = c.local('i64');
    this.info = c.local('i32');
    this.kind = c.local('i32');
    this.a = c.local('i64');
    this.b = c.local('i64');
    this.carry = c.local('i64');
    this.mark = c.local('v128');
    this.links = new Links(first_link);
    this.way = c.local('i32');
  }

  gpr(reg: number): number {
    const local = this.gprs.get(reg);
    if (local === undefined) throw new Error(`register ${reg} has no local`);
    return local;
  }

  xmm(reg: number): number {
    const local = this.xmms.get(reg);
    if (local === undefined) throw new Error(`xmm${reg} has no local`);
    return local;
  }

  /** The local with the machine address of a window. */
  window(id: number): number {
    let local = this.windows.get(id);
    if (local === undefined) {
      local = this.c.local('i32');
      this.windows.set(id, local);
    }
    return local;
  }

  /** Notes that a register was written. */
  wrote_gpr(reg: number): void {
    this.dirty_gprs |= 1 << reg;
  }

  wrote_xmm(reg: number): void {
    this.dirty_xmms |= 1 << reg;
  }

  /** Stores the registers that are ahead of the register record. */
  store_registers(): void {
    const { c } = this;
    for (const [reg, local] of this.gprs) {
      if ((this.dirty_gprs & (1 << reg)) === 0) continue;
      c.get(CPU)
        .get(local)
        .op('i64.store', CpuState.gpr.offset + reg * 8);
    }
    for (const [reg, local] of this.xmms) {
      if ((this.dirty_xmms & (1 << reg)) === 0) continue;
      c.get(CPU)
        .get(local)
        .op('v128.store', CpuState.xmm.offset + reg * 16);
    }
  }

  /** The same, on every way from here. */
  flush_registers(): void {
    this.store_registers();
    this.dirty_gprs = 0;
    this.dirty_xmms = 0;
  }

  /** Calls a function of the runtime with the arguments on the stack. */
  call(name: string): Code {
    return this.c.get(this.mark).call(this.imports.runtime(name));
  }

  return_call(name: string): Code {
    return this.c.get(this.mark).return_call(this.imports.runtime(name));
  }

  /** Calls a routine of the semantics, or a helper. */
  call_routine(routine: Routine): Code {
    return this.c.call(this.imports.routine(routine));
  }

  call_helper(name: string): Code {
    return this.c.call(this.imports.helper(name));
  }

  /** A local until `free_temporaries`. */
  temporary(type: ValueType): number {
    let pool = this.pools.get(type);
    if (pool === undefined) {
      pool = { locals: [], used: 0 };
      this.pools.set(type, pool);
    }
    if (pool.used === pool.locals.length) pool.locals.push(this.c.local(type));
    return pool.locals[pool.used++] as number;
  }

  free_temporaries(): void {
    for (const pool of this.pools.values()) pool.used = 0;
  }

  /** Loads what an entry needs to know. */
  load_registers(): void {
    const { c, flow } = this;
    for (const [reg, local] of this.gprs)
      if (flow.is_live('gpr', reg))
        c.get(CPU)
          .op('i64.load', CpuState.gpr.offset + reg * 8)
          .set(local);
    for (const [reg, local] of this.xmms)
      if (flow.is_live('xmm', reg))
        c.get(CPU)
          .op('v128.load', CpuState.xmm.offset + reg * 16)
          .set(local);
    if (flow.passed) return;
    this.load_flags();
    this.forget_passed_flags();
  }

  /** Flags in the vCPU are out of date. */
  forget_passed_flags(): void {
    this.c.get(VCPU).i32(0).op('i32.store', Vcpu.flags_passed.offset);
  }

  /** Stores flags that are raw in the register record. */
  store_flags(): void {
    this.c.get(CPU).get(this.a).op('i64.store', CpuState.flags_result.offset);
    this.c.get(CPU).get(this.b).op('i64.store32', CpuState.flags_aux.offset);
  }

  /** Flags are in the vCPU if another region led here, otherwise in the register record. */
  load_flags(): void {
    const { c } = this;
    c.get(VCPU).op('i32.load', Vcpu.flags_passed.offset).tee(this.kind).if();
    c.get(this.kind).i32(1).op('i32.sub').set(this.kind);
    c.get(VCPU).op('i64.load', Vcpu.flags_a.offset).set(this.a);
    c.get(VCPU).op('i64.load', Vcpu.flags_b.offset).set(this.b);
    c.get(VCPU).op('i64.load', Vcpu.flags_carry.offset).set(this.carry);
    c.else();
    c.get(CPU).op('i64.load', CpuState.flags_result.offset).set(this.a);
    c.get(CPU).op('i64.load32_u', CpuState.flags_aux.offset).set(this.b);
    c.end();
  }

  /** Begins what encloses the body: the ways out are at its end. */
  open(): void {
    this.out = this.c.block();
    this.given_up = this.c.block();
    this.missed = this.c.block();
  }

  /** Begins the body: `chain` leads to its end. */
  open_body(): void {
    this.chained = this.c.block();
  }

  /** Ends the body: what follows is run with RIP, flags and `info` in their locals. */
  close_body(): void {
    this.c.unreachable().end();
    this.chained = null;
  }

  /** Ends what `open` began, with the ways out of region `number`. */
  close(number: number): void {
    const { c } = this;
    c.unreachable().end();
    if (this.missed_point >= 0) {
      c.get(VCPU).get(this.missed_point).op('i32.store', Vcpu.region_point.offset);
      c.get(VCPU).i32(REGION_MISSED).op('i32.store', Vcpu.region_exit.offset);
    } else c.unreachable();
    c.end();
    if (this.points.rips.length > 0) {
      c.get(CPU).get(VCPU).get(this.fuel).i32(number);
      this.push_flags();
      this.return_call('leave_point');
    } else c.unreachable();
    c.end();
    c.get(CPU).get(VCPU).get(this.fuel).get(this.rip).get(this.info);
    this.push_flags();
    this.return_call('leave_region');
  }

  private push_flags(): void {
    this.c.get(this.kind).get(this.a).get(this.b).get(this.carry);
  }

  /** Leaves with RIP in the local `rip`, for `reason` (LEAVE_*), `retired` instructions behind the fuel local. */
  leave_to_local(reason: number, retired: number, flags: FlagState): void {
    this.store_registers();
    this.c
      .i32(retired | (reason << INFO_REASON_SHIFT) | (flags.exit_kind() << INFO_KIND_SHIFT))
      .set(this.info)
      .br(this.out as Label);
  }

  /** The same, to a known address. */
  leave(rip: number, reason: number, retired: number, flags: FlagState): void {
    this.c.i64(rip).set(this.rip);
    this.leave_to_local(reason, retired, flags);
  }

  /** Leaves at a block boundary by a way out, with RIP in the local `rip`: for another region if there is one. */
  chain(way: number, flags: FlagState): void {
    this.flush_registers();
    if (flags.kind === KIND_PASSED) {
      this.c.i32(KIND_KEPT).set(this.kind);
      this.keeps = true;
    } else flags.convert(KIND_DYNAMIC);
    this.c
      .i32(way)
      .set(this.way)
      .br(this.chained as Label);
  }

  /** Flags go into the vCPU, for the region that comes, unless they are where they were. */
  pass_flags(): void {
    const { c } = this;
    if (this.keeps) c.get(this.kind).i32(KIND_KEPT).op('i32.ne').open_if();
    c.get(VCPU).get(this.kind).i32(1).op('i32.add').op('i32.store', Vcpu.flags_passed.offset);
    c.get(VCPU).get(this.a).op('i64.store', Vcpu.flags_a.offset);
    c.get(VCPU).get(this.b).op('i64.store', Vcpu.flags_b.offset);
    c.get(VCPU).get(this.carry).op('i64.store', Vcpu.flags_carry.offset);
    if (this.keeps) c.end();
  }

  /** A new point where the region may give up, before an instruction at `rip`; its number. */
  point(rip: number, retired: number, flags: FlagState): number {
    const { rips, infos, runs } = this.points;
    const info = retired | (LEAVE_SLOW << INFO_REASON_SHIFT) | (flags.exit_kind() << INFO_KIND_SHIFT);
    const last = rips.length - 1;
    if (rips[last] === rip && infos[last] === info && !runs.has(last)) return last;
    rips.push(rip);
    infos.push(info);
    return last + 1;
  }

  /** The same for the beginning of a run. */
  run_point(run: Run, retired: number, flags: FlagState): number {
    const point = this.point(run.first.rip, retired, flags);
    this.points.runs.set(point, run);
    return point;
  }

  /** Gives up at a point, for a reason that is not a fault's (REGION_*). */
  give_up_at(point: number, reason: number): void {
    this.c.get(VCPU).i32(reason).op('i32.store', Vcpu.region_exit.offset);
    this.c.get(VCPU).i32(point).op('i32.store', Vcpu.region_point.offset);
    this.c.br(this.given_up as Label);
  }

  /**
   * Gives up at a point if what is on the stack, whether the TLB lacks a page, is not zero. The stores for that are in one
   * place for all of them, behind the body: accesses are many, and each then has only a constant and a branch.
   */
  give_up_if_missed(point: number): void {
    if (this.missed_point < 0) this.missed_point = this.c.local('i32');
    this.c
      .open_if_unlikely()
      .i32(point)
      .set(this.missed_point)
      .br(this.missed as Label)
      .end();
  }

  /** Gives up if what is on the stack is zero. */
  give_up_if_zero(): void {
    this.c.op('i32.eqz').br_if_unlikely(this.given_up as Label);
  }
}
