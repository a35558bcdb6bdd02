/**
 * Bit tests and scans, byte swaps, population count, CRC32, carry and flag-word instructions.
 */
import { CpuState, RAX, RBX, RCX, RDX, RSP } from '../../machine/cpu.layout.ts';
import { flag, flags_logic, flags_word, load_flags, set_carry, set_flags, set_flags_word, set_zero } from '../flags.ts';
import type { Family, Ir, Routine, Value } from '../ir.ts';

const AH = CpuState.gpr.offset + RAX * 8 + 1;

/**
 * bt and its kin. With a register offset a memory operand is a bit string: the offset, signed, reaches beyond the
 * addressed word (Intel manual, volume 2, BT).
 */
function bit_test(change: ((ir: Ir, value: Value, mask: Value) => Value) | null): (ir: Ir) => void {
  return (ir) => {
    const bits = ir.size * 8;
    const offset = ir.read_signed(1);
    if (ir.operand(0).kind === 'mem' && ir.operand(1).kind === 'reg') {
      const word = ir.op('i64.shr_s', offset, ir.i64(Math.log2(bits)));
      ir.displace_address(ir.op('i64.mul', word, ir.i64(ir.size)));
    }
    const position = ir.op('i64.and', offset, ir.i64(bits - 1));
    const a = ir.read(0);
    if (change !== null) ir.write(0, change(ir, a, ir.op('i64.shl', ir.i64(1), position)));
    const cf = ir.op('i64.and', ir.op('i64.shr_u', a, position), ir.i64(1));
    set_carry(ir, ir.op('i32.wrap_i64', cf));
  };
}

function bit_scan(forward: boolean): (ir: Ir) => void {
  return (ir) => {
    const source = ir.read(1);
    const found = forward ? ir.op('i64.ctz', source) : ir.op('i64.sub', ir.i64(63), ir.op('i64.clz', source));
    // A source of zero keeps the whole destination, as processors of both makers do.
    ir.if(ir.op('i64.ne', source, ir.i64(0)), () => ir.write(0, found));
    flags_logic(ir, source, ir.size);
  };
}

/** CRC32 with the polynomial 11EDC6F41H, reflected: `size` bytes of the second argument into the first. */
const CRC32: Routine = {
  name: 'crc32c',
  params: ['i32', 'i64', 'i32'],
  result: 'i32',
  body(ir, [seed, data, size]) {
    const crc = ir.variable(seed!);
    const rest = ir.variable(data!);
    const bits = ir.variable(ir.op('i32.shl', size!, ir.i32(3)));
    ir.loop((again) => {
      const now = ir.get(crc);
      const left = ir.get(rest);
      const low = ir.op('i32.and', ir.op('i32.xor', now, ir.op('i32.wrap_i64', left)), ir.i32(1));
      const polynomial = ir.op('i32.and', ir.op('i32.sub', ir.i32(0), low), ir.i32(0x82f6_3b78));
      ir.set(crc, ir.op('i32.xor', ir.op('i32.shr_u', now, ir.i32(1)), polynomial));
      ir.set(rest, ir.op('i64.shr_u', left, ir.i64(1)));
      ir.set(bits, ir.op('i32.sub', ir.get(bits), ir.i32(1)));
      ir.continue_loop(again, ir.get(bits));
    });
    return ir.get(crc);
  },
};

function join(ir: Ir, high: number, low: number): Value {
  return ir.op('i64.or', ir.op('i64.shl', ir.gpr(high, 4), ir.i64(32)), ir.gpr(low, 4));
}

export const BITS: Family = {
  bt: bit_test(null),
  bts: bit_test((ir, a, mask) => ir.op('i64.or', a, mask)),
  btr: bit_test((ir, a, mask) => ir.op('i64.and', a, ir.op('i64.xor', mask, ir.i64(-1)))),
  btc: bit_test((ir, a, mask) => ir.op('i64.xor', a, mask)),
  bsf: bit_scan(true),
  bsr: bit_scan(false),
  bswap(ir) {
    // A 16-bit swap is undefined; processors clear the register.
    if (ir.size === 2) {
      ir.write(0, ir.i64(0));
      return;
    }
    const lanes = Array.from({ length: 16 }, (_, i) => (i < ir.size ? ir.size - 1 - i : i));
    const vector = ir.op('i64x2.splat', ir.read(0));
    ir.write(0, ir.lane_op('i64x2.extract_lane', [0], ir.lane_op('i8x16.shuffle', lanes, vector, vector)));
  },
  popcnt(ir) {
    const source = ir.read(1);
    ir.write(0, ir.op('i64.popcnt', source));
    const none = ir.i32(0);
    set_flags(ir, { CF: none, PF: none, AF: none, ZF: ir.op('i64.eqz', source), SF: none, OF: none });
  },
  crc32(ir) {
    const data = ir.read(1);
    const seed = ir.op('i32.wrap_i64', ir.read(0));
    ir.write(0, ir.op('i64.extend_i32_u', ir.call(CRC32, seed, data, ir.i32(ir.operand(1).size))));
  },
  cmpxchg8b(ir) {
    const expected = join(ir, RDX, RAX);
    const replacement = join(ir, RCX, RBX);
    const old = ir.read(0);
    const equal = ir.op('i64.eq', old, expected);
    ir.write(0, ir.select(equal, replacement, old));
    ir.if(ir.op('i32.eqz', equal), () => {
      ir.set_gpr(RAX, old, 4);
      ir.set_gpr(RDX, ir.op('i64.shr_u', old, ir.i64(32)), 4);
    });
    set_zero(ir, equal);
  },
  cmpxchg16b(ir) {
    const pointer = ir.resolve(ir.address(), 16, true);
    set_zero(ir, ir.swap_16(pointer));
  },
  cmc(ir) {
    set_carry(ir, ir.op('i32.xor', flag(ir, 'CF'), ir.i32(1)));
  },
  clc(ir) {
    set_carry(ir, ir.i32(0));
  },
  stc(ir) {
    set_carry(ir, ir.i32(1));
  },
  lahf(ir) {
    ir.cpu_store('i32.store8', AH, flags_word_low(ir));
  },
  sahf(ir) {
    set_flags_word(ir, ir.cpu_load('i32.load8_u', AH), true);
  },
  pushf(ir) {
    ir.push(ir.op('i64.extend_i32_u', flags_word(ir)), ir.form.operand_size);
  },
  popf(ir) {
    const size = ir.form.operand_size;
    const rsp = ir.gpr(RSP);
    const word = ir.load(size === 2 ? 'i32.load16_u' : 'i32.load', size, rsp);
    ir.set_gpr(RSP, ir.op('i64.add', rsp, ir.i64(size)));
    load_flags(ir, word, size);
  },
};

/** What lahf shows: SF ZF 0 AF 0 PF 1 CF. */
function flags_word_low(ir: Ir): Value {
  return ir.op('i32.and', flags_word(ir), ir.i32(0xd7));
}
