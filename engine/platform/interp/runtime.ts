/**
 * What the interpreter's module gives to translated code (platform/jit), by export name: memory beyond the TLB, ways
 * out of a region, lazy flags, and every routine of the semantics.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import type { Code, FunctionRef } from '../../wasm/code.ts';
import type { ModuleBuilder } from '../../wasm/module.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { FLAGS_OPERATIONS, flags_of } from '../../x86/flags.ts';
import type { Ir, Routine, Value } from '../../x86/ir.ts';
import { EXIT_EXCEPTION, EXIT_FAULT, EXIT_SYSCALL } from '../platform.ts';
import { define_chain } from './chain.ts';
import { AHEAD, CPU, FUEL, HANDLER_PARAMS, OP, push_ahead, VCPU } from './dispatch.ts';
import {
  ACCESS_POINT_SHIFT,
  ACCESS_SIZE_MASK,
  ACCESS_SIZE_SHIFT,
  INFO_KIND_SHIFT,
  INFO_REASON_SHIFT,
  INFO_RETIRED_MASK,
  KIND_KEPT,
  KIND_LOCAL,
  LEAVE_EXCEPTION,
  LEAVE_SLOW,
  LEAVE_SWITCH,
  REGION_AGAIN,
  REGION_CROSSED,
  REGION_FAULT,
  WINDOW_READS,
} from './leave.ts';
import { RECORD_POSITION } from './record.ts';
import type { Shared } from './shared.ts';

type Signature = readonly [params: readonly ValueType[], results: readonly ValueType[]];

const CAS: Signature = [['i32', 'i32', 'i64', 'i64', 'v128'], ['i32']];
const FLAGS: Signature = [['i32', 'i32', 'i64', 'i64', 'i64', 'v128'], ['i64']];

/**
 * Types of the functions by name, as regions call them: with one parameter more, a v128 that nobody looks at. JavaScript
 * cannot call such a function, and for each type that it can V8 compiles a wrapper with every module that imports it
 * (80 us on Node 20, where a small region takes 20).
 */
export const RUNTIME: Readonly<Record<string, Signature>> = {
  access: [['i32', 'i64', 'i32', 'v128'], ['i32']],
  window: [['i32', 'i64', 'i32', 'i32', 'v128'], ['i32']],
  stored: [['i32', 'i32', 'i32', 'v128'], []],
  cas8: CAS,
  cas16: CAS,
  cas32: CAS,
  cas64: CAS,
  flags_result: FLAGS,
  flags_aux: FLAGS,
  leave_region: [['i32', 'i32', 'i32', 'i64', 'i32', 'i32', 'i64', 'i64', 'i64', 'v128'], ['i32']],
  leave_point: [['i32', 'i32', 'i32', 'i32', 'i32', 'i64', 'i64', 'i64', 'v128'], ['i32']],
  original: [[...HANDLER_PARAMS, 'v128'], ['i32']],
  pass_on: [[...HANDLER_PARAMS, 'v128'], ['i32']],
  chain: [['i32', 'i32', 'i32', 'i64', 'i32', 'v128'], ['i32']],
  validate: [['i32', 'i32', 'v128'], ['i32']],
  region_syscall: [['i32', 'i32', 'i32', 'i64', 'v128'], ['i32']],
};

function declare(m: ModuleBuilder, name: string): FunctionRef {
  return m.declare(name, ...(RUNTIME[name] as Signature));
}

/**
 * access(vcpu, address, what): `resolve`, but 0 also when the instruction must begin again in the interpreter because
 * code changed, somebody wants this vCPU, or the kernel was asked and what the region knows of other pages may be void;
 * Vcpu.region_exit says which, and Vcpu.region_point where.
 */
function define_access(m: ModuleBuilder, shared: Shared): FunctionRef {
  const f = declare(m, 'access');
  const c = m.code(f);
  const [vcpu, address, what] = [0, 1, 2];
  const tag = c.local('i32');
  const calls = c.local('i32');
  const pointer = c.local('i32');
  c.get(vcpu).op('i32.load', Vcpu.code_tag.offset).set(tag);
  c.get(vcpu).op('i32.load', Vcpu.memory_calls.offset).set(calls);
  c.get(vcpu).get(address);
  c.get(what).i32(ACCESS_SIZE_SHIFT).op('i32.shr_u').i32(ACCESS_SIZE_MASK).op('i32.and');
  c.get(what).i32(1).op('i32.and');
  c.call(shared.resolve).tee(pointer).op('i32.eqz').open_if();
  const give_up = (reason: number): void => {
    c.get(vcpu).i32(reason).op('i32.store', Vcpu.region_exit.offset);
    c.get(vcpu).get(what).i32(ACCESS_POINT_SHIFT).op('i32.shr_u').op('i32.store', Vcpu.region_point.offset);
    c.i32(0).return().end();
  };
  give_up(REGION_FAULT);
  c.get(vcpu).op('i32.load', Vcpu.code_tag.offset).get(tag).op('i32.ne');
  c.get(vcpu).op('i32.load', Vcpu.memory_calls.offset).get(calls).op('i32.ne').op('i32.or');
  c.get(vcpu).op('i32.load', Vcpu.interrupt.offset).op('i32.or').open_if();
  give_up(REGION_AGAIN);
  c.get(pointer);
  m.define(f, c);
  return f;
}

/**
 * window(vcpu, low, what, offset): machine address of the window of `what`'s size from `low` on, looked up by the access
 * at `offset` in it, which is the one that faults; 0 as `access`, and where the window crosses a page boundary. Where
 * the access itself only reads (WINDOW_READS), a fault for the write behind it is not its own: it begins again.
 */
function define_window(m: ModuleBuilder, access: FunctionRef): FunctionRef {
  const f = declare(m, 'window');
  const c = m.code(f);
  const [vcpu, low, what, offset, mark] = [0, 1, 2, 3, 4];
  const pointer = c.local('i32');
  const reads = c.local('i32');
  c.get(low).op('i32.wrap_i64').i32(4095).op('i32.and');
  c.get(what).i32(ACCESS_SIZE_SHIFT).op('i32.shr_u').i32(ACCESS_SIZE_MASK).op('i32.and').op('i32.add');
  c.i32(4096).op('i32.gt_u').open_if();
  c.get(vcpu).i32(REGION_CROSSED).op('i32.store', Vcpu.region_exit.offset);
  c.get(vcpu).get(what).i32(ACCESS_POINT_SHIFT).op('i32.shr_u').op('i32.store', Vcpu.region_point.offset);
  c.i32(0).return().end();
  c.get(offset).i32(WINDOW_READS).op('i32.and').set(reads);
  c.get(offset)
    .i32(WINDOW_READS - 1)
    .op('i32.and')
    .set(offset);
  // A byte of the access: all of it lies on the page.
  c.get(vcpu).get(low).get(offset).op('i64.extend_i32_u').op('i64.add');
  c.get(what)
    .i32(~(ACCESS_SIZE_MASK << ACCESS_SIZE_SHIFT))
    .op('i32.and')
    .i32(1 << ACCESS_SIZE_SHIFT)
    .op('i32.or');
  c.get(mark).call(access).tee(pointer).op('i32.eqz').open_if();
  c.get(reads).open_if().get(vcpu).i32(REGION_AGAIN).op('i32.store', Vcpu.region_exit.offset).end();
  c.i32(0).return().end();
  c.get(pointer).get(offset).op('i32.sub');
  m.define(f, c);
  return f;
}

/** stored(vcpu, pointer, size): behind a store through what `access` answered: the bounce buffer is written back. */
function define_stored(m: ModuleBuilder, shared: Shared): FunctionRef {
  const f = declare(m, 'stored');
  const c = m.code(f);
  const [vcpu, pointer, size] = [0, 1, 2];
  c.get(pointer).get(vcpu).i32(Vcpu.bounce.offset).op('i32.add').op('i32.eq').open_if();
  c.get(vcpu).get(size).call(shared.commit).end();
  m.define(f, c);
  return f;
}

/** settle(cpu, vcpu): flags on their way between regions go into the register record. */
function define_settle(m: ModuleBuilder, result: FunctionRef, aux: FunctionRef): FunctionRef {
  const f = m.declare('settle', ['i32', 'i32'], []);
  const c = m.code(f);
  const [cpu, vcpu] = [0, 1];
  const flags = (): Code => {
    c.get(cpu).get(vcpu).op('i32.load', Vcpu.flags_passed.offset).i32(1).op('i32.sub');
    for (const { offset } of [Vcpu.flags_a, Vcpu.flags_b, Vcpu.flags_carry]) c.get(vcpu).op('i64.load', offset);
    return c;
  };
  c.get(vcpu).op('i32.load', Vcpu.flags_passed.offset).op('i32.eqz').open_if().return().end();
  c.get(cpu);
  flags().call(result).op('i64.store', CpuState.flags_result.offset);
  c.get(cpu);
  flags().call(aux).op('i64.store32', CpuState.flags_aux.offset);
  c.get(vcpu).i32(0).op('i32.store', Vcpu.flags_passed.offset);
  m.define(f, c);
  return f;
}

/** leave_point(cpu, vcpu, fuel, region, kind, a, b, carry): a region gives up in the middle of a block. */
function define_leave_point(m: ModuleBuilder, shared: Shared, leave_region: FunctionRef): FunctionRef {
  const f = declare(m, 'leave_point');
  const c = m.code(f);
  const [cpu, vcpu, fuel, region, kind, a, b, carry, mark] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const info = c.local('i32');
  c.get(region).get(vcpu).call(shared.imports.point).set(info);
  c.get(cpu).get(vcpu).get(fuel).get(vcpu).op('i64.load', Vcpu.region_rip.offset).get(info);
  c.get(kind).get(a).get(b).get(carry).get(mark).return_call(leave_region);
  m.define(f, c);
  return f;
}

/**
 * leave_region(cpu, vcpu, fuel, rip, info, kind, a, b, carry): with all registers but the flags in the register record.
 */
function define_leave_region(
  m: ModuleBuilder,
  shared: Shared,
  result: FunctionRef,
  aux: FunctionRef,
  settle: FunctionRef,
  again: FunctionRef,
): FunctionRef {
  const f = declare(m, 'leave_region');
  const c = m.code(f);
  const [cpu, vcpu, fuel, rip, info, kind, a, b, carry] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const reason = c.local('i32');
  const known = c.local('i32');
  c.get(fuel).get(info).i32(INFO_RETIRED_MASK).op('i32.and').op('i32.sub').set(fuel);
  c.get(info).i32(INFO_REASON_SHIFT).op('i32.shr_u').i32(15).op('i32.and').set(reason);
  count_leave(c, vcpu, reason);
  c.get(info).i32(INFO_KIND_SHIFT).op('i32.shr_u').tee(known);
  c.i32(KIND_LOCAL).op('i32.ne').open_if().get(known).set(kind).end();
  c.get(kind).i32(KIND_KEPT).op('i32.eq').if();
  c.get(cpu).get(vcpu).call(settle);
  c.else();
  c.get(vcpu).i32(0).op('i32.store', Vcpu.flags_passed.offset);
  c.get(kind).open_if();
  c.get(cpu).get(kind).get(a).get(b).get(carry).call(result);
  c.get(cpu).get(kind).get(a).get(b).get(carry).call(aux).set(b).set(a).end();
  c.get(cpu).get(a).op('i64.store', CpuState.flags_result.offset);
  c.get(cpu).get(b).op('i64.store32', CpuState.flags_aux.offset);
  c.end();
  const exit = (code: number): void => {
    c.get(cpu).get(rip).op('i64.store', CpuState.rip.offset);
    c.get(cpu).get(vcpu).get(fuel).call(shared.sync);
    c.i32(code).return();
  };
  c.get(reason).op('i32.eqz').open_if().get(cpu).get(vcpu).get(fuel).get(rip).return_call(shared.jump).end();
  c.get(reason).i32(LEAVE_SWITCH).op('i32.eq').open_if();
  c.get(cpu).get(vcpu).get(fuel).get(rip).return_call(shared.switch).end();
  c.get(reason).i32(LEAVE_EXCEPTION).op('i32.eq').open_if();
  exit(EXIT_EXCEPTION);
  c.end();
  c.get(reason).i32(LEAVE_SLOW).op('i32.eq').if();
  c.get(vcpu).op('i32.load', Vcpu.region_exit.offset).op('i32.eqz').open_if();
  exit(EXIT_FAULT);
  c.end();
  c.get(cpu).get(vcpu).get(fuel).get(rip).return_call(again);
  c.end();
  c.get(cpu).get(vcpu).get(fuel).get(rip).return_call(shared.enter);
  m.define(f, c);
  return f;
}

/** Vcpu.region_jumps and what follows it, by reason, += 1. */
function count_leave(c: Code, vcpu: number, reason: number): void {
  const counter = c.local('i32');
  c.get(reason).i32(3).op('i32.shl').get(vcpu).op('i32.add').tee(counter);
  c.get(counter).op('i64.load', Vcpu.region_jumps.offset).i64(1).op('i64.add');
  c.op('i64.store', Vcpu.region_jumps.offset);
}

/** original(op, ...): runs the record by the handler that it had before its code was translated. */
function define_original(m: ModuleBuilder, shared: Shared, settle: FunctionRef): FunctionRef {
  const f = declare(m, 'original');
  const c = m.code(f);
  c.get(VCPU).get(VCPU).op('i64.load', Vcpu.region_refusals.offset).i64(1).op('i64.add');
  c.op('i64.store', Vcpu.region_refusals.offset);
  c.get(CPU).get(VCPU).call(settle);
  c.get(OP).get(CPU).get(VCPU).get(FUEL);
  push_ahead(c, OP);
  c.get(OP).get(VCPU).call(shared.imports.original);
  c.return_call_indirect(shared.handler_type);
  m.define(f, c);
  return f;
}

/** pass_on(op, cpu, vcpu, fuel, handler): runs the record by the handler with that index. */
function define_pass_on(m: ModuleBuilder, shared: Shared): FunctionRef {
  const f = declare(m, 'pass_on');
  const c = m.code(f);
  c.get(OP).get(CPU).get(VCPU).get(FUEL).i32(0).get(AHEAD).return_call_indirect(shared.handler_type);
  m.define(f, c);
  return f;
}

/** again(cpu, vcpu, fuel, rip): the interpreter runs the instruction at `rip`, whether it is translated or not. */
function define_again(m: ModuleBuilder, shared: Shared, original: FunctionRef): FunctionRef {
  const f = m.declare('again', ['i32', 'i32', 'i32', 'i64'], ['i32']);
  const c = m.code(f);
  const [cpu, vcpu, fuel, rip] = [0, 1, 2, 3];
  const op = c.local('i32');
  c.get(cpu).get(vcpu).get(rip).op('i32.wrap_i64').get(rip).i64(32).op('i64.shr_u').op('i32.wrap_i64');
  c.call(shared.imports.decode).tee(op).op('i32.eqz').open_if();
  c.get(cpu).get(rip).op('i64.store', CpuState.rip.offset);
  c.get(cpu).get(vcpu).get(fuel).call(shared.sync);
  c.i32(EXIT_FAULT).return().end();
  c.get(cpu).get(rip).i64(32).op('i64.shr_u').op('i64.store32', CpuState.rip_hi.offset);
  c.get(op).get(cpu).get(vcpu).get(fuel).get(op).op('i32.load8_u', RECORD_POSITION).op('i32.add');
  c.i32(0).v128(0n).return_call(original);
  m.define(f, c);
  return f;
}

/** validate(region, vcpu): whether the pages of a region are mapped as they were when it was made. */
function define_validate(m: ModuleBuilder, shared: Shared): FunctionRef {
  const f = declare(m, 'validate');
  const c = m.code(f);
  c.get(0).get(1).call(shared.imports.validate);
  m.define(f, c);
  return f;
}

/** A field of the lazy flags of any kind. */
function flags_routine(name: string, field: 'result' | 'aux'): Routine {
  return {
    name,
    params: ['i32', 'i64', 'i64', 'i64'],
    result: 'i64',
    body(ir, [kind, a, b, c]) {
      const out = ir.variable(ir.i64(0));
      const operation = ir.op('i32.shr_u', kind as Value, ir.i32(2));
      const log = ir.op('i32.and', kind as Value, ir.i32(3));
      for (let op = 0; op < FLAGS_OPERATIONS; op++)
        ir.if(ir.op('i32.eq', operation, ir.i32(op)), () => {
          for (const [i, size] of [1, 2, 4, 8].entries())
            ir.if(ir.op('i32.eq', log, ir.i32(i)), () => {
              const flags = flags_of(ir, op, size, a as Value, b as Value, c as Value);
              ir.set(out, field === 'result' ? flags.result : extended(ir, flags.aux));
            });
        });
      return ir.get(out);
    },
  };
}

function extended(ir: Ir, value: Value): Value {
  return ir.op('i64.extend_i32_u', value);
}

/** (cpu, kind, a, b, c): Vcpu-independent; `cpu` is there because every routine has it. */
export const FLAGS_RESULT = flags_routine('flags_result', 'result');
export const FLAGS_AUX = flags_routine('flags_aux', 'aux');

/** A function of the interpreter's own for regions. */
function define_forward(m: ModuleBuilder, name: string, target: FunctionRef): FunctionRef {
  const f = declare(m, name);
  const c = m.code(f);
  for (let i = 0; i < m.type_at(target.type).params.length; i++) c.get(i);
  c.return_call(target);
  m.define(f, c);
  return f;
}

/**
 * region_syscall(cpu, vcpu, fuel, rip): the system call of an instruction that ends at `rip`, with all registers and flags
 * in the register record: 0, or the reason for which guest code is left. Fuel and RIP are then what the sentry made them.
 */
function define_region_syscall(m: ModuleBuilder, shared: Shared): FunctionRef {
  const f = declare(m, 'region_syscall');
  const c = m.code(f);
  const [cpu, vcpu, fuel, rip] = [0, 1, 2, 3];
  c.get(cpu).get(rip).op('i64.store', CpuState.rip.offset);
  c.get(cpu).get(vcpu).get(fuel).call(shared.sync);
  c.call(shared.imports.syscall).open_if().i32(EXIT_SYSCALL).return().end();
  c.get(vcpu).get(vcpu).op('i32.load', Vcpu.fuel.offset).op('i32.store', Vcpu.fuel_base.offset);
  c.i32(0);
  m.define(f, c);
  return f;
}

/**
 * Defines the functions of translated code and exports them with the shared ones and all routines made so far. Handlers
 * from `first_region` on are regions. Regions do not use the table themselves: V8 keeps whatever imports a table for as
 * long as the table is there, 50 KB a region, and looks at all of them with each change of it.
 */
export function export_runtime(
  m: ModuleBuilder,
  shared: Shared,
  routine: (routine: Routine) => FunctionRef,
  first_region: number,
): void {
  const result = routine(FLAGS_RESULT);
  const aux = routine(FLAGS_AUX);
  const settle = define_settle(m, result, aux);
  const original = define_original(m, shared, settle);
  const leave_region = define_leave_region(m, shared, result, aux, settle, define_again(m, shared, original));
  const access = define_access(m, shared);
  const chain = declare(m, 'chain');
  define_chain(m, chain, shared.handler_type, first_region, leave_region, shared.imports.sampled);
  for (const f of [
    access,
    define_window(m, access),
    define_stored(m, shared),
    leave_region,
    define_leave_point(m, shared, leave_region),
    original,
    define_pass_on(m, shared),
    chain,
    define_validate(m, shared),
    define_region_syscall(m, shared),
    shared.commit,
    shared.swap_16,
    ...Object.values(shared.cas).map((cas) => define_forward(m, cas.name, cas)),
    define_forward(m, 'flags_result', result),
    define_forward(m, 'flags_aux', aux),
  ])
    m.export_function(f.name, f);
  m.export_table('table');
}
