/**
 * CPUID, time stamps, fences, segment registers as Linux's 64-bit user mode sees them.
 *
 * The selectors are fixed: CS 0x33, SS 0x2b, the others 0. Loading a null selector or SS's own is allowed
 * and, for FS and GS, clears the base; anything else is #GP.
 */
import { CpuState, RAX, RCX, RDX, RSP } from '../../machine/cpu.layout.ts';
import { LOAD_U64 } from '../access_names.ts';
import { set_zero } from '../flags.ts';
import { SEGMENT_FS, SEGMENT_GS } from '../instruction.ts';
import { type Family, type Ir, type Value, VECTOR_GP } from '../ir.ts';

const USER_CS = 0x33;
const USER_SS = 0x2b;
const SEGMENT_CS = 1;
const SEGMENT_SS = 2;
const FAR_SEGMENTS: Readonly<Record<string, number>> = { LSS: SEGMENT_SS, LFS: SEGMENT_FS, LGS: SEGMENT_GS };
/** Access rights as LAR shows them: present, DPL 3, accessed; 64-bit code, data. */
const CODE_RIGHTS = 0x00a0_fb00;
const DATA_RIGHTS = 0x00c0_f300;

function selector_of(ir: Ir, segment: Value): Value {
  const is = (number: number): Value => ir.op('i32.eq', segment, ir.i32(number));
  return ir.select(is(SEGMENT_CS), ir.i64(USER_CS), ir.select(is(SEGMENT_SS), ir.i64(USER_SS), ir.i64(0)));
}

function is_null(ir: Ir, selector: Value): Value {
  return ir.op('i64.eqz', ir.op('i64.and', selector, ir.i64(0xfffc)));
}

/** Raises #GP unless the selector may be loaded into the segment register. */
function check_selector(ir: Ir, selector: Value, segment: Value): void {
  const null_allowed = ir.op('i32.and', is_null(ir, selector), ir.op('i32.ne', segment, ir.i32(SEGMENT_SS)));
  const low = ir.op('i64.and', selector, ir.i64(0xffff));
  const allowed = ir.op('i32.or', null_allowed, ir.op('i64.eq', low, ir.i64(USER_SS)));
  ir.raise_if(ir.op('i32.eqz', allowed), VECTOR_GP);
}

/** Whatever selector is loaded, the descriptor's base is 0. */
function clear_base(ir: Ir, segment: Value): void {
  const zero = ir.i64(0);
  const is = (number: number): Value => ir.op('i32.eq', segment, ir.i32(number));
  ir.if(is(SEGMENT_FS), () => ir.cpu_store('i64.store', CpuState.fs_base.offset, zero));
  ir.if(is(SEGMENT_GS), () => ir.cpu_store('i64.store', CpuState.gs_base.offset, zero));
}

function time_stamp(ir: Ir): void {
  const ticks = ir.op('i64.trunc_sat_f64_u', ir.helper('tsc', 'f64')!);
  ir.set_gpr(RAX, ticks, 4);
  ir.set_gpr(RDX, ir.op('i64.shr_u', ticks, ir.i64(32)), 4);
}

function fence(ir: Ir): void {
  ir.fence();
}

/** Whether a selector names the code or the data segment of user mode, whatever its privilege bits. */
function names(ir: Ir, selector: Value, wanted: number): Value {
  return ir.op('i64.eq', ir.op('i64.and', selector, ir.i64(0xfffc)), ir.i64(wanted & ~3));
}

/** lar and lsl: the value for code or data into operand 0 and ZF, or ZF clear. */
function segment_query(code: number, data: number): (ir: Ir) => void {
  return (ir) => {
    const selector = ir.read(1);
    const old = ir.read(0);
    const is_code = names(ir, selector, USER_CS);
    const known = ir.op('i32.or', is_code, names(ir, selector, USER_SS));
    ir.write(0, ir.select(known, ir.select(is_code, ir.i64(code), ir.i64(data)), old));
    set_zero(ir, known);
  };
}

export const SYSTEM: Family = {
  cpuid(ir) {
    ir.helper('cpuid', null);
  },
  rdtsc: time_stamp,
  rdtscp(ir) {
    time_stamp(ir);
    ir.set_gpr(RCX, ir.cpu_load('i64.load32_u', CpuState.tsc_aux.offset), 4);
  },
  lfence() {},
  sfence: fence,
  mfence: fence,
  clflush(ir) {
    ir.read(0);
  },
  mov_from_segment(ir) {
    ir.write(0, selector_of(ir, ir.register_number(1)));
  },
  mov_to_segment(ir) {
    const selector = ir.read(1);
    const segment = ir.register_number(0);
    check_selector(ir, selector, segment);
    clear_base(ir, segment);
  },
  load_far_pointer(ir) {
    const size = ir.size;
    const address = ir.address();
    const offset = ir.load(LOAD_U64[size]!, size, address);
    const selector = ir.load('i64.load16_u', 2, ir.op('i64.add', address, ir.i64(size)));
    const segment = ir.i32(FAR_SEGMENTS[ir.form.row.mnemonic]!);
    check_selector(ir, selector, segment);
    clear_base(ir, segment);
    ir.write(0, offset);
  },
  push_segment(ir) {
    ir.push(ir.i64(0), ir.form.operand_size);
  },
  pop_segment(ir) {
    const size = ir.form.operand_size;
    const rsp = ir.gpr(RSP);
    const selector = ir.load(LOAD_U64[size]!, size, rsp);
    const segment = ir.register_number(0);
    check_selector(ir, selector, segment);
    ir.set_gpr(RSP, ir.op('i64.add', rsp, ir.i64(size)));
    clear_base(ir, segment);
  },
  lar: segment_query(CODE_RIGHTS, DATA_RIGHTS),
  lsl: segment_query(0xffff_ffff, 0xffff_ffff),
  verr(ir) {
    const selector = ir.read(0);
    set_zero(ir, ir.op('i32.or', names(ir, selector, USER_CS), names(ir, selector, USER_SS)));
  },
  verw(ir) {
    set_zero(ir, names(ir, ir.read(0), USER_SS));
  },
};
