/**
 * x87 instructions: memory operands are brought to and from the scratch area here, the rest is done by the
 * helpers in `x87/`. Every instruction but the no-wait controls raises a pending exception first, before its
 * memory operand may fault; a store computes, then writes memory, then changes the stack.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import { condition, set_flags } from '../flags.ts';
import { type Family, type Ir, type Semantics, type Value, VECTOR_GP } from '../ir.ts';
import { ENVIRONMENT_16, ENVIRONMENT_32 } from '../x87/control.ts';
import {
  MEM_BCD,
  MEM_F32,
  MEM_F64,
  MEM_F80,
  MEM_I16,
  MEM_I16_TRUNCATE,
  MEM_I32,
  MEM_I32_TRUNCATE,
  MEM_I64,
  MEM_I64_TRUNCATE,
  MEM_SIZE,
} from '../x87/transfer.ts';
import { check_pending } from './vector.ts';

const SCRATCH = CpuState.scratch.offset;
const MXCSR_IN_IMAGE = 24;

/** Notes the address of the last instruction that was not a control. */
function note_ip(ir: Ir): void {
  ir.cpu_store('i64.store', CpuState.fip.offset, ir.rip());
}

function constants(ir: Ir, values: readonly number[]): Value[] {
  return values.map((value) => ir.i32(value));
}

/** Brings the memory operand 0 to the scratch area. */
function load_operand(ir: Ir, size: number): void {
  const address = ir.address();
  if (size === 10) {
    const low = ir.load('i64.load', 8, address);
    const high = ir.load('i64.load16_u', 2, ir.op('i64.add', address, ir.i64(8)));
    ir.cpu_store('i64.store', SCRATCH, low);
    ir.cpu_store('i64.store', SCRATCH + 8, high);
    return;
  }
  const name = size === 8 ? 'i64.load' : size === 4 ? 'i64.load32_u' : 'i64.load16_u';
  ir.cpu_store('i64.store', SCRATCH, ir.load(name, size, address));
}

function simple(name: string, ...values: readonly number[]): Semantics {
  return (ir) => {
    ir.helper_or_raise(name, ...constants(ir, values));
    note_ip(ir);
  };
}

function float_kind(ir: Ir): number {
  const { size } = ir.operand(0);
  return size === 4 ? MEM_F32 : size === 8 ? MEM_F64 : MEM_F80;
}

function integer_kind(ir: Ir): number {
  const { size } = ir.operand(0);
  return size === 2 ? MEM_I16 : size === 4 ? MEM_I32 : MEM_I64;
}

function truncating_kind(ir: Ir): number {
  const { size } = ir.operand(0);
  return size === 2 ? MEM_I16_TRUNCATE : size === 4 ? MEM_I32_TRUNCATE : MEM_I64_TRUNCATE;
}

/** An operation with a memory operand: kinds 2 and 3 compare, the others compute. */
function with_memory(ir: Ir, op: number, kind: number): void {
  check_pending(ir);
  load_operand(ir, MEM_SIZE[kind] as number);
  ir.helper_or_raise('x87_memory', ir.i32(op), ir.i32(kind));
  note_ip(ir);
}

/** FADD and kin: with memory, ST(0) op ST(i), or ST(i) op ST(0). */
function arithmetic(op: number): Semantics {
  return (ir) => {
    if (ir.operand(0).kind === 'mem') {
      with_memory(ir, op, float_kind(ir));
      return;
    }
    const into_i = ir.form.row.operands[0]?.from !== 'fixed';
    const i = ir.register_number(into_i ? 0 : 1);
    const zero = ir.i32(0);
    if (into_i) ir.helper_or_raise('x87_arithmetic', ir.i32(op), i, zero, zero);
    else ir.helper_or_raise('x87_arithmetic', ir.i32(op), zero, i, zero);
    note_ip(ir);
  };
}

function arithmetic_pop(op: number): Semantics {
  return (ir) => {
    const i = ir.register_number(0);
    ir.helper_or_raise('x87_arithmetic', ir.i32(op), i, ir.i32(0), ir.i32(1));
    note_ip(ir);
  };
}

function integer_arithmetic(op: number): Semantics {
  return (ir) => with_memory(ir, op, integer_kind(ir));
}

/** FCOM, FUCOM and their popping forms; without operands they mean ST(1). */
function compare(quiet_nans: number, pops: number): Semantics {
  return (ir) => {
    if (ir.form.operands.length > 0 && ir.operand(0).kind === 'mem') {
      with_memory(ir, pops === 0 ? 2 : 3, float_kind(ir));
      return;
    }
    const i = ir.form.operands.length === 0 ? ir.i32(1) : ir.register_number(1);
    ir.helper_or_raise('x87_compare', i, ir.i32(quiet_nans), ir.i32(pops));
    note_ip(ir);
  };
}

function compare_to_flags(quiet_nans: number, pops: number): Semantics {
  return (ir) => {
    check_pending(ir);
    const i = ir.register_number(1);
    const result = ir.helper('x87_compare_flags', 'i32', i, ir.i32(quiet_nans), ir.i32(pops)) as Value;
    note_ip(ir);
    const bit = (n: number): Value => ir.op('i32.and', ir.op('i32.shr_u', result, ir.i32(n)), ir.i32(1));
    const zero = ir.i32(0);
    set_flags(ir, { CF: bit(0), PF: bit(2), AF: zero, ZF: bit(6), SF: zero, OF: zero });
  };
}

function load(kind_of: (ir: Ir) => number): Semantics {
  return (ir) => {
    if (ir.operand(0).kind === 'reg') {
      ir.helper_or_raise('x87_load_register', ir.register_number(0));
      note_ip(ir);
      return;
    }
    const kind = kind_of(ir);
    check_pending(ir);
    load_operand(ir, MEM_SIZE[kind] as number);
    ir.helper_or_raise('x87_load', ir.i32(kind));
    note_ip(ir);
  };
}

function store(kind_of: (ir: Ir) => number, pops: number): Semantics {
  return (ir) => {
    if (ir.operand(0).kind === 'reg') {
      ir.helper_or_raise('x87_store_register', ir.register_number(0), ir.i32(pops));
      note_ip(ir);
      return;
    }
    const kind = kind_of(ir);
    const size = MEM_SIZE[kind] as number;
    check_pending(ir);
    const address = ir.address();
    const outcome = ir.helper('x87_prepare_store', 'i32', ir.i32(kind)) as Value;
    ir.if(ir.op('i32.eq', outcome, ir.i32(-1)), () => {
      // Ten bytes are two stores, on the hardware too: the first may be done when the second faults.
      if (size !== 10) ir.probe_write(address, size);
      store_scratch(ir, address, size);
      ir.helper('x87_finish_store', 'i32', ir.i32(pops));
    });
    note_ip(ir);
  };
}

function store_scratch(ir: Ir, address: Value, size: number): void {
  if (size === 10) {
    ir.store('i64.store', 8, address, ir.cpu_load('i64.load', SCRATCH));
    ir.store('i64.store16', 2, ir.op('i64.add', address, ir.i64(8)), ir.cpu_load('i64.load16_u', SCRATCH + 8));
    return;
  }
  const name = size === 8 ? 'i64.store' : size === 4 ? 'i64.store32' : 'i64.store16';
  ir.store(name, size, address, ir.cpu_load('i64.load', SCRATCH));
}

/** Copies `size` bytes between guest memory and the scratch area, in pieces of two bytes or eight. */
function copy_out(ir: Ir, address: Value, size: number): void {
  const step = size % 8 === 0 ? 8 : size % 4 === 0 ? 4 : 2;
  const [load_name, store_name] =
    step === 8
      ? ['i64.load', 'i64.store']
      : step === 4
        ? ['i64.load32_u', 'i64.store32']
        : ['i64.load16_u', 'i64.store16'];
  // The hardware looks at the first word and at the far end first.
  ir.probe_write(address, Math.min(step, 4));
  ir.resolve(ir.op('i64.add', address, ir.i64(size - 1)), 1, true);
  each_piece(ir, size, step, (offset) => {
    const at = ir.op('i64.add', address, ir.op('i64.extend_i32_u', offset));
    ir.store(store_name, step, at, ir.cpu_load(load_name, SCRATCH, offset));
  });
}

function copy_in(ir: Ir, address: Value, size: number): void {
  const step = size % 8 === 0 ? 8 : size % 4 === 0 ? 4 : 2;
  const [load_name, store_name] =
    step === 8
      ? ['i64.load', 'i64.store']
      : step === 4
        ? ['i64.load32_u', 'i64.store32']
        : ['i64.load16_u', 'i64.store16'];
  // The hardware looks at the first word and at the far end first.
  ir.load(load_name, step, address);
  ir.resolve(ir.op('i64.add', address, ir.i64(size - 1)), 1, false);
  each_piece(ir, size, step, (offset) => {
    const at = ir.op('i64.add', address, ir.op('i64.extend_i32_u', offset));
    ir.cpu_store(store_name, SCRATCH, ir.load(load_name, step, at), offset);
  });
}

function each_piece(ir: Ir, size: number, step: number, build: (offset: Value) => void): void {
  const cursor = ir.variable(ir.i32(0));
  ir.loop((id) => {
    build(ir.get(cursor));
    ir.set(cursor, ir.op('i32.add', ir.get(cursor), ir.i32(step)));
    ir.continue_loop(id, ir.op('i32.lt_u', ir.get(cursor), ir.i32(size)));
  });
}

/** The format of an environment: 32-bit unless the operand size is 16. */
function is_wide(ir: Ir): boolean {
  return ir.form.operand_size !== 2;
}

function fnstenv(ir: Ir): void {
  const wide = is_wide(ir);
  ir.helper('x87_write_environment', 'i32', ir.i32(wide ? 1 : 0));
  copy_out(ir, ir.address(), wide ? ENVIRONMENT_32 : ENVIRONMENT_16);
  ir.helper('x87_finish_fnstenv', 'i32');
}

function fldenv(ir: Ir): void {
  const wide = is_wide(ir);
  check_pending(ir);
  copy_in(ir, ir.address(), wide ? ENVIRONMENT_32 : ENVIRONMENT_16);
  ir.helper('x87_read_environment', 'i32', ir.i32(wide ? 1 : 0));
}

function fnsave(ir: Ir): void {
  const wide = is_wide(ir);
  ir.helper('x87_write_fsave', 'i32', ir.i32(wide ? 1 : 0));
  copy_out(ir, ir.address(), wide ? ENVIRONMENT_32 + 80 : ENVIRONMENT_16 + 80);
  ir.helper('x87_fninit', 'i32');
}

function frstor(ir: Ir): void {
  const wide = is_wide(ir);
  check_pending(ir);
  copy_in(ir, ir.address(), wide ? ENVIRONMENT_32 + 80 : ENVIRONMENT_16 + 80);
  ir.helper('x87_read_fsave', 'i32', ir.i32(wide ? 1 : 0));
}

/** FXSAVE and FXSAVE64; the bytes of the area that are the program's stay. */
function fxsave(ir: Ir): void {
  const address = ir.address();
  // The hardware looks at the far end first.
  ir.resolve(ir.op('i64.add', address, ir.i64(511)), 1, true);
  ir.resolve(address, 1, true);
  ir.helper('x87_write_fxsave', 'i32', ir.i32(ir.form.operand_size === 8 ? 1 : 0));
  copy_out(ir, address, 416);
}

function fxrstor(ir: Ir): void {
  const address = ir.address();
  ir.resolve(ir.op('i64.add', address, ir.i64(511)), 1, false);
  copy_in(ir, address, 512);
  ir.raise_if(ir.op('i32.shr_u', ir.cpu_load('i32.load', SCRATCH + MXCSR_IN_IMAGE), ir.i32(16)), VECTOR_GP);
  ir.helper('x87_read_fxsave', 'i32', ir.i32(ir.form.operand_size === 8 ? 1 : 0));
}

function family_of(make: (op: number) => Semantics, prefix: string, suffix: string): Family {
  const names: Readonly<Record<string, number>> = { add: 0, mul: 1, sub: 4, subr: 5, div: 6, divr: 7 };
  return Object.fromEntries(Object.entries(names).map(([name, op]) => [prefix + name + suffix, make(op)]));
}

const CONTROL: Family = {
  fnop(ir) {
    // The old controls under other mnemonics do not wait.
    if (ir.form.row.mnemonic === 'FNOP') check_pending(ir);
  },
  fwait(ir) {
    check_pending(ir);
  },
  fninit(ir) {
    ir.helper('x87_fninit', 'i32');
  },
  fnclex(ir) {
    ir.helper('x87_fnclex', 'i32');
  },
  fldcw(ir) {
    check_pending(ir);
    ir.helper_or_raise('x87_fldcw', ir.op('i32.wrap_i64', ir.read(0)));
  },
  fnstcw(ir) {
    ir.write(0, ir.op('i64.extend_i32_u', ir.cpu_load('i32.load', CpuState.fcw.offset)));
  },
  fnstsw(ir) {
    ir.write(0, ir.op('i64.extend_i32_u', ir.cpu_load('i32.load', CpuState.fsw.offset)));
  },
  fnstenv,
  fldenv,
  fnsave,
  frstor,
  fxsave,
  fxrstor,
  ffree(ir) {
    ir.helper_or_raise('x87_ffree', ir.register_number(0), ir.i32(0));
    note_ip(ir);
  },
  ffreep(ir) {
    ir.helper_or_raise('x87_ffree', ir.register_number(0), ir.i32(1));
    note_ip(ir);
  },
  fincstp: simple('x87_rotate', 1),
  fdecstp: simple('x87_rotate', -1),
};

const TRANSFERS: Family = {
  fld: load(float_kind),
  fild: load(integer_kind),
  fbld: load(() => MEM_BCD),
  fst: store(float_kind, 0),
  fstp: store(float_kind, 1),
  fstpnce(ir) {
    ir.helper_or_raise('x87_store_register', ir.register_number(0), ir.i32(3));
    note_ip(ir);
  },
  fist: store(integer_kind, 0),
  fistp: store(integer_kind, 1),
  fisttp: store(truncating_kind, 1),
  fbstp: store(() => MEM_BCD, 1),
  fxch(ir) {
    ir.helper_or_raise('x87_exchange', ir.register_number(1));
    note_ip(ir);
  },
  fcmovcc(ir) {
    check_pending(ir);
    const i = ir.register_number(1);
    ir.helper_or_raise('x87_move_if', i, condition(ir, ir.form.row.condition));
    note_ip(ir);
  },
};

export const X87: Family = {
  ...CONTROL,
  ...TRANSFERS,
  ...family_of(arithmetic, 'f', ''),
  ...family_of(arithmetic_pop, 'f', 'p'),
  ...family_of(integer_arithmetic, 'fi', ''),
  fcom: compare(0, 0),
  fcomp: compare(0, 1),
  fcompp: compare(0, 2),
  fucom: compare(1, 0),
  fucomp: compare(1, 1),
  fucompp: compare(1, 2),
  ficom: integer_arithmetic(2),
  ficomp: integer_arithmetic(3),
  fcomi: compare_to_flags(0, 0),
  fcomip: compare_to_flags(0, 1),
  fucomi: compare_to_flags(1, 0),
  fucomip: compare_to_flags(1, 1),
  ftst: simple('x87_ftst'),
  fxam: simple('x87_fxam'),
  fchs: simple('x87_fchs'),
  fabs: simple('x87_fabs'),
  fsqrt: simple('x87_fsqrt'),
  frndint: simple('x87_frndint'),
  fscale: simple('x87_fscale'),
  fxtract: simple('x87_fxtract'),
  fprem: simple('x87_remainder', 0),
  fprem1: simple('x87_remainder', 1),
  fld1: simple('x87_constant', 0),
  fldl2t: simple('x87_constant', 1),
  fldl2e: simple('x87_constant', 2),
  fldpi: simple('x87_constant', 3),
  fldlg2: simple('x87_constant', 4),
  fldln2: simple('x87_constant', 5),
  fldz: simple('x87_constant', 6),
  f2xm1: simple('x87_transcendental', 0),
  fyl2x: simple('x87_transcendental', 1),
  fptan: simple('x87_transcendental', 2),
  fpatan: simple('x87_transcendental', 3),
  fyl2xp1: simple('x87_transcendental', 4),
  fsincos: simple('x87_transcendental', 5),
  fsin: simple('x87_transcendental', 6),
  fcos: simple('x87_transcendental', 7),
};
