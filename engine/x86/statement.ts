/**
 * The statements of the IR: what `Ir` (ir.ts) makes of its methods, and what whoever lowers it goes through in order.
 */
import type { WasmOp } from '../wasm/opcodes.ts';
import type { FlagName, Routine, Value, Variable } from './ir.ts';

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
  | { kind: 'if'; condition: Value; body: Statement[]; otherwise: Statement[] }
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
  | { kind: 'repeat' }
  | { kind: 'syscall' };
