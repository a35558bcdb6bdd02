/**
 * The x87 helpers by the names that the semantics call them by.
 */
import { type FloatHelper, float_helper } from '../sse/helpers.ts';
import {
  arithmetic_operand,
  arithmetic_registers,
  fabs,
  fchs,
  frndint,
  fscale,
  fsqrt,
  fxtract,
  remainder,
} from './arithmetic.ts';
import { compare_operand, compare_register, compare_to_flags, ftst, fxam } from './comparison.ts';
import {
  ffree,
  finish_fnstenv,
  fldcw,
  fnclex,
  fninit,
  read_environment,
  read_fsave,
  read_fxsave,
  rotate,
  write_environment,
  write_fsave,
  write_fxsave,
} from './control.ts';
import { begin, type Cpu, DONE } from './state.ts';
import { transcendental } from './transcendental.ts';
import {
  conditional_move,
  exchange,
  finish_store,
  load,
  load_constant,
  load_register,
  prepare_store,
  read_operand,
  scratch,
  store_register,
} from './transfer.ts';

/** FLD1 ... FLDZ: exponent of the lowest bit and significand, truncated after 80 bits. */
const CONSTANTS: readonly (readonly [number, bigint])[] = [
  [0, 1n],
  [-78, 0xd49a_784b_cd1b_8afe_492bn],
  [-79, 0xb8aa_3b29_5c17_f0bb_be87n],
  [-78, 0xc90f_daa2_2168_c234_c4c6n],
  [-81, 0x9a20_9a84_fbcf_f798_8f89n],
  [-80, 0xb172_17f7_d1cf_79ab_c9e3n],
  [0, 0n],
];

function memory_operation(cpu: Cpu, op: number, kind: number): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  const operand = read_operand(cpu, kind);
  return op === 2 || op === 3 ? compare_operand(cpu, operand, op === 3) : arithmetic_operand(cpu, op, operand);
}

function constant(cpu: Cpu, which: number): number {
  const [exponent, significand] = CONSTANTS[which] as readonly [number, bigint];
  return load_constant(cpu, exponent, significand);
}

/** Wraps an operation without a result. */
function action(run: (cpu: Cpu, ...args: number[]) => void, count: number): FloatHelper {
  return float_helper(count, (cpu, ...args) => {
    run(cpu, ...args);
    return DONE;
  });
}

export const X87_HELPERS: Readonly<Record<string, FloatHelper>> = {
  x87_memory: float_helper(2, memory_operation as FloatHelper['run']),
  x87_arithmetic: float_helper(4, (cpu, op, dst, src, pops) =>
    arithmetic_registers(cpu, op as number, dst as number, src as number, pops !== 0),
  ),
  x87_compare: float_helper(3, (cpu, i, quiet_nans, pops) =>
    compare_register(cpu, i as number, quiet_nans !== 0, pops as number),
  ),
  x87_compare_flags: float_helper(3, (cpu, i, quiet_nans, pops) =>
    compare_to_flags(cpu, i as number, quiet_nans !== 0, pops !== 0),
  ),
  x87_load: float_helper(1, load as FloatHelper['run']),
  x87_load_register: float_helper(1, load_register as FloatHelper['run']),
  x87_store_register: float_helper(2, (cpu, i, how) =>
    store_register(cpu, i as number, ((how as number) & 1) !== 0, ((how as number) & 2) !== 0),
  ),
  x87_prepare_store: float_helper(1, prepare_store as FloatHelper['run']),
  x87_finish_store: action((cpu, pops) => finish_store(cpu, pops !== 0), 1),
  x87_exchange: float_helper(1, exchange as FloatHelper['run']),
  x87_move_if: float_helper(2, conditional_move as FloatHelper['run']),
  x87_constant: float_helper(1, constant as FloatHelper['run']),
  x87_ftst: float_helper(0, ftst),
  x87_fxam: float_helper(0, fxam),
  x87_fchs: float_helper(0, fchs),
  x87_fabs: float_helper(0, fabs),
  x87_fsqrt: float_helper(0, fsqrt),
  x87_frndint: float_helper(0, frndint),
  x87_fscale: float_helper(0, fscale),
  x87_fxtract: float_helper(0, fxtract),
  x87_remainder: float_helper(1, (cpu, nearest) => remainder(cpu, nearest !== 0)),
  x87_transcendental: float_helper(1, transcendental as FloatHelper['run']),
  x87_rotate: float_helper(1, rotate as FloatHelper['run']),
  x87_ffree: float_helper(2, (cpu, i, pops) => ffree(cpu, i as number, pops !== 0)),
  x87_fldcw: float_helper(1, fldcw as FloatHelper['run']),
  x87_fninit: float_helper(0, fninit),
  x87_fnclex: float_helper(0, fnclex),
  x87_write_environment: action((cpu, wide) => write_environment(cpu, scratch(cpu), wide !== 0), 1),
  x87_finish_fnstenv: action(finish_fnstenv, 0),
  x87_read_environment: action((cpu, wide) => read_environment(cpu, scratch(cpu), wide !== 0), 1),
  x87_write_fsave: action((cpu, wide) => write_fsave(cpu, scratch(cpu), wide !== 0), 1),
  x87_read_fsave: action((cpu, wide) => read_fsave(cpu, scratch(cpu), wide !== 0), 1),
  x87_write_fxsave: action((cpu, wide) => write_fxsave(cpu, scratch(cpu), wide !== 0), 1),
  x87_read_fxsave: float_helper(1, (cpu, wide) => read_fxsave(cpu, scratch(cpu), wide !== 0)),
};
