/**
 * The function of a region while it is being written: its locals, the functions that it calls, and the ways out.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import type { Code, FunctionRef } from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { CPU, HANDLER_PARAMS, VCPU } from '../interp/shared.ts';
import type { FlagState } from './flag_state.ts';
import type { Flow } from './flow.ts';

/** Parameters of the cold way out, before the registers. */
export const LEAVE_PARAMS: readonly ValueType[] = ['i32', 'i32', 'i32', 'i64', 'i32'];
export const LEAVE_FLAGS_PARAMS: readonly ValueType[] = ['i32', 'i64', 'i64', 'i64'];

function sorted(set: ReadonlySet<number>): number[] {
  return [...set].sort((a, b) => a - b);
}

export class Frame {
  readonly c: Code;
  readonly flow: Flow;
  /** Fuel at the beginning of the block. */
  readonly fuel: number;
  readonly state: number;
  /** Kind and operands of the lazy flags. */
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly carry: number;
  /** General registers whose upper half is zero. */
  readonly narrow = new Set<number>();
  private readonly gprs = new Map<number, number>();
  private readonly xmms = new Map<number, number>();
  private readonly imports: ReadonlyMap<string, FunctionRef>;
  private readonly cold: FunctionRef;
  private readonly pools = new Map<ValueType, { locals: number[]; used: number }>();

  constructor(c: Code, flow: Flow, imports: ReadonlyMap<string, FunctionRef>, cold: FunctionRef) {
    this.c = c;
    this.flow = flow;
    this.imports = imports;
    this.cold = cold;
    for (const reg of sorted(flow.gpr_used)) this.gprs.set(reg, c.local('i64'));
    for (const reg of sorted(flow.xmm_used)) this.xmms.set(reg, c.local('v128'));
    this.fuel = c.local('i32');
    this.state = c.local('i32');
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

  /** Stores what the region may have changed. */
  store_registers(flags: FlagState): void {
    const { c, flow } = this;
    for (const reg of sorted(flow.gpr_written))
      c.get(CPU)
        .get(this.gpr(reg))
        .op('i64.store', CpuState.gpr.offset + reg * 8);
    for (const reg of sorted(flow.xmm_written))
      c.get(CPU)
        .get(this.xmm(reg))
        .op('v128.store', CpuState.xmm.offset + reg * 16);
    if (flow.writes_flags) flags.store();
  }

  /**
   * Leaves by the shared cold function with RIP `rip`, for `reason` (LEAVE_*), `retired` instructions behind the
   * fuel local's value.
   */
  leave_cold(rip: number, reason: number, retired: number, flags: FlagState): void {
    const { c, flow } = this;
    c.get(CPU).get(VCPU).get(this.fuel);
    if (retired > 0) c.i32(retired).op('i32.sub');
    c.i64(BigInt(rip)).i32(reason);
    if (flow.writes_flags) flags.push_all();
    for (const reg of sorted(flow.gpr_written)) c.get(this.gpr(reg));
    for (const reg of sorted(flow.xmm_written)) c.get(this.xmm(reg));
    c.return_call(this.cold);
  }
}

/** Types of the cold function's parameters. */
export function cold_params(flow: Flow): ValueType[] {
  return [
    ...LEAVE_PARAMS,
    ...(flow.writes_flags ? LEAVE_FLAGS_PARAMS : []),
    ...[...flow.gpr_written].map((): ValueType => 'i64'),
    ...[...flow.xmm_written].map((): ValueType => 'v128'),
  ];
}

/** Writes the cold function: stores everything it is given, then leaves. */
export function write_cold(c: Code, flow: Flow, imports: ReadonlyMap<string, FunctionRef>): void {
  const [cpu, vcpu, fuel, rip, reason] = [0, 1, 2, 3, 4] as const;
  let param = LEAVE_PARAMS.length;
  if (flow.writes_flags) {
    const fields = [
      ['flags_result', CpuState.flags_result.offset, 'i64.store'],
      ['flags_aux', CpuState.flags_aux.offset, 'i64.store32'],
    ] as const;
    for (const [name, offset, store] of fields) {
      c.get(cpu).get(cpu);
      for (let i = 0; i < LEAVE_FLAGS_PARAMS.length; i++) c.get(param + i);
      c.call(imports.get(name) as FunctionRef).op(store, offset);
    }
    param += LEAVE_FLAGS_PARAMS.length;
  }
  for (const reg of sorted(flow.gpr_written))
    c.get(cpu)
      .get(param++)
      .op('i64.store', CpuState.gpr.offset + reg * 8);
  for (const reg of sorted(flow.xmm_written))
    c.get(cpu)
      .get(param++)
      .op('v128.store', CpuState.xmm.offset + reg * 16);
  c.get(cpu).get(vcpu).get(fuel).get(rip).get(reason);
  c.return_call(imports.get('leave_region') as FunctionRef);
}

export const ENTRY_PARAMS = HANDLER_PARAMS;
