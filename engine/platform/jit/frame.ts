/**
 * The function of a region while it is being written: its locals, the functions that it calls, and the ways out.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import type { Code, FunctionRef, Label } from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { INFO_KIND_SHIFT, INFO_REASON_SHIFT, KIND_KEPT } from '../interp/runtime.ts';
import { CPU, VCPU } from '../interp/shared.ts';
import type { FlagState } from './flag_state.ts';
import type { Flow } from './flow.ts';

function sorted(set: ReadonlySet<number>): number[] {
  return [...set].sort((a, b) => a - b);
}

export class Frame {
  readonly c: Code;
  readonly flow: Flow;
  /** Fuel at the beginning of the block. */
  readonly fuel: number;
  /** Which block a dispatch leads to. */
  readonly state: number;
  /** Where and how the region is left. */
  readonly rip: number;
  private readonly info: number;
  private out: Label | null = null;
  /** Kind and operands of the lazy flags. */
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly carry: number;
  /** General registers whose upper half is zero. */
  readonly narrow = new Set<number>();
  /** Registers whose locals are ahead of the register record, by number. */
  private dirty_gprs = 0;
  private dirty_xmms = 0;
  private readonly gprs = new Map<number, number>();
  private readonly xmms = new Map<number, number>();
  private readonly imports: ReadonlyMap<string, FunctionRef>;
  private readonly pools = new Map<ValueType, { locals: number[]; used: number }>();

  constructor(c: Code, flow: Flow, imports: ReadonlyMap<string, FunctionRef>) {
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

  import(name: string): FunctionRef {
    const f = this.imports.get(name);
    if (f === undefined) throw new Error(`${name} is not imported`);
    return f;
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

  /** Loads every register that the region has to do with. */
  load_registers(): void {
    const { c, flow } = this;
    for (const [reg, local] of this.gprs)
      c.get(CPU)
        .op('i64.load', CpuState.gpr.offset + reg * 8)
        .set(local);
    for (const [reg, local] of this.xmms)
      c.get(CPU)
        .op('v128.load', CpuState.xmm.offset + reg * 16)
        .set(local);
    if (!flow.writes_flags && !flow.reads_flags) return;
    c.get(CPU).op('i64.load', CpuState.flags_result.offset).set(this.a);
    c.get(CPU).op('i64.load32_u', CpuState.flags_aux.offset).set(this.b);
    c.i32(0).set(this.kind);
  }

  /** Begins the body: `leave` goes to its end. */
  open(): void {
    this.out = this.c.block();
  }

  /** Ends the body, with the way out of the region. */
  close(): void {
    const { c } = this;
    c.unreachable().end();
    c.get(CPU).get(VCPU).get(this.fuel).get(this.rip).get(this.info);
    c.get(this.kind).get(this.a).get(this.b).get(this.carry);
    c.return_call(this.import('leave_region'));
  }

  /** Leaves with RIP in the local `rip`, for `reason` (LEAVE_*), `retired` instructions behind the fuel local. */
  leave_to_local(reason: number, retired: number, flags: FlagState): void {
    this.store_registers();
    const kind = this.flow.writes_flags ? flags.exit_kind() : KIND_KEPT;
    this.c
      .i32(retired | (reason << INFO_REASON_SHIFT) | (kind << INFO_KIND_SHIFT))
      .set(this.info)
      .br(this.out as Label);
  }

  /** The same, to a known address. */
  leave(rip: number, reason: number, retired: number, flags: FlagState): void {
    this.c.i64(rip).set(this.rip);
    this.leave_to_local(reason, retired, flags);
  }
}
