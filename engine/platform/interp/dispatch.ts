/** From handler to handler: what they are given, and how each goes on to the next. */
import { CpuState } from '../../machine/cpu.layout.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import type { Code } from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { RECORD_HANDLER, RECORD_HEAT, RECORD_LENGTH, RECORD_POSITION, RECORD_RIP, RECORD_SIZE } from './record.ts';

/** Parameters of a handler. */
export const OP = 0;
export const CPU = 1;
export const VCPU = 2;
export const FUEL = 3;
/**
 * The handler of the record behind the one that is run. A handler begins with a load from its instance, which the table
 * has; when it read from its record which handler comes next, that load waited for two more, one instruction after the
 * other: 4.9 ns each. Whoever lets code change reads it again.
 */
export const AHEAD = 4;
export const HANDLER_PARAMS: readonly ValueType[] = ['i32', 'i32', 'i32', 'i32', 'i32'];

/** Pushes the handler of the record behind `op`, which is another block's, or nothing, if `op` ends its own. */
export function push_ahead(c: Code, op: number): void {
  c.get(op).op('i32.load16_u', RECORD_SIZE + RECORD_HANDLER);
}

/** Tail call of the handler of the record in local OP. */
export function dispatch(c: Code, handler_type: number): void {
  c.get(OP).get(CPU).get(VCPU).get(FUEL);
  push_ahead(c, OP);
  c.get(OP).op('i32.load16_u', RECORD_HANDLER).return_call_indirect(handler_type);
}

/** The same of the record behind it, whose handler is in AHEAD. */
export function dispatch_ahead(c: Code, handler_type: number): void {
  c.get(OP).i32(RECORD_SIZE).op('i32.add').tee(OP).get(CPU).get(VCPU).get(FUEL);
  push_ahead(c, OP);
  c.get(AHEAD).return_call_indirect(handler_type);
}

/** Counts a branch to the record in `op` and pushes whether it is the one that makes it hot. */
export function push_is_hot(c: Code, op: number, heat: number): void {
  c.get(op).get(op).op('i32.load16_u', RECORD_HEAT).i32(1).op('i32.sub').tee(heat).op('i32.store16', RECORD_HEAT);
  c.get(heat).op('i32.eqz');
}

/** Pushes the full address of the instruction. */
export function push_rip(c: Code): void {
  c.get(CPU).op('i64.load32_u', CpuState.rip_hi.offset).i64(32).op('i64.shl');
  c.get(OP).op('i64.load32_u', RECORD_RIP).op('i64.or');
}

/** Pushes the address behind the instruction. */
export function push_next_rip(c: Code): void {
  push_rip(c);
  c.get(OP).op('i64.load8_u', RECORD_LENGTH).op('i64.add');
}

/** Pushes whether guest code must leave at this boundary, as i32 (non-zero: yes). */
export function push_boundary(c: Code): void {
  c.get(FUEL).i32(0).op('i32.le_s').get(VCPU).op('i32.load', Vcpu.interrupt.offset).op('i32.or');
}

/** fuel -= position + `more` (1 when the instruction itself has retired). */
export function retire(c: Code, more: 0 | 1): void {
  c.get(FUEL).get(OP).op('i32.load8_u', RECORD_POSITION).op('i32.sub');
  if (more === 1) c.i32(1).op('i32.sub');
  c.set(FUEL);
}
