/**
 * The statements of the IR: what `Ir` (ir.ts) makes of its methods, and what whoever lowers it goes through in order.
 */
import type { WasmOp } from '../wasm/opcodes.ts';
import type { FlagName, Routine, Value, Variable } from './ir.ts';

/**
 * What MXCSR is taken to be: rounding to nearest, everything masked, FTZ and DAZ off, and PE set (`noted`), or not set
 * (`exact`), so that nothing may be rounded. `none`: anything.
 */
export type Assumption = 'none' | 'noted' | 'exact';

/** What is known of numbers: not denormal; zero, or so large that neither a product nor a root underflows. */
export type Known = 'plain' | 'medium';
/** What is assumed of numbers; of bits: that none is set. */
export type AssumedOf = Known | 'medium and not zero' | 'finite' | 'no bits';

export type Statement =
  | { kind: 'let'; value: Value }
  | { kind: 'set'; variable: Variable; value: Value }
  | { kind: 'copy'; result: Value; variable: Variable }
  | { kind: 'read_register'; result: Value; op: WasmOp; operand: number; lane_offset: number }
  | { kind: 'write_register'; op: WasmOp; operand: number; value: Value; lane_offset: number }
  | { kind: 'cpu_load'; result: Value; op: WasmOp; offset: number; dynamic: Value | null }
  | { kind: 'cpu_store'; op: WasmOp; offset: number; dynamic: Value | null; value: Value }
  | { kind: 'register_number'; result: Value; operand: number }
  | { kind: 'address'; result: Value }
  | { kind: 'load'; result: Value; op: WasmOp; size: number; address: Value }
  | { kind: 'store'; op: WasmOp; size: number; address: Value; value: Value }
  | { kind: 'resolve'; result: Value; size: number; address: Value; write: boolean }
  | { kind: 'raw_load'; result: Value; op: WasmOp; pointer: Value }
  | { kind: 'raw_store'; op: WasmOp; size: number; pointer: Value; value: Value }
  | { kind: 'raw_bulk'; op: WasmOp; args: readonly Value[] }
  | { kind: 'lock_begin'; result: Value; size: number; pointer: Value }
  | { kind: 'lock_end'; size: number; pointer: Value; expected: Value; value: Value }
  | { kind: 'swap_16'; result: Value; pointer: Value }
  | { kind: 'fence' }
  | { kind: 'if'; condition: Value; body: Statement[]; otherwise: Statement[]; unlikely: boolean }
  | { kind: 'loop'; id: number; body: Statement[] }
  | { kind: 'continue' | 'break'; id: number; condition: Value | null }
  | { kind: 'raise'; vector: number; behind: boolean }
  | { kind: 'helper'; result: Value | null; name: string; args: readonly Value[] }
  | { kind: 'helper_raise'; name: string; args: readonly Value[] }
  | { kind: 'call'; result: Value | null; routine: Routine; args: readonly Value[] }
  | { kind: 'branch'; condition: Value | null }
  | { kind: 'jump'; target: Value }
  | { kind: 'lazy_flags'; op: number; size: number; args: readonly Value[] }
  | { kind: 'flag'; result: Value; name: FlagName }
  | { kind: 'condition'; result: Value; code: number }
  | { kind: 'assume'; what: AssumedOf; form: number; value: Value }
  | { kind: 'known'; what: Known; form: number }
  | { kind: 'repeat' }
  | { kind: 'syscall' };
