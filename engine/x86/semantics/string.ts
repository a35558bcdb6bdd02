/**
 * String instructions and xlat (Intel manual, volume 2, MOVS ... and REP).
 *
 * A repeated instruction works in pieces: registers are up to date after each, and between pieces `repeat` lets the
 * platform look at fuel and interrupts. movs and stos going upwards take all that lies within one page of each
 * operand as one piece; everything else goes element by element, up to PIECE elements.
 */
import { CpuState, RAX, RBX, RCX, RDI, RSI } from '../../machine/cpu.layout.ts';
import { LOAD_U64, STORE_64 } from '../access_names.ts';
import { flags_sub } from '../flags.ts';
import type { Family, Ir, Value } from '../ir.ts';

const PIECE = 256;
const PAGE = 4096;

function source_address(ir: Ir, rsi: Value): Value {
  return ir.op('i64.add', ir.segment_base(), rsi);
}

/** What to add to an index register after an element. */
function delta(ir: Ir): Value {
  const size = ir.form.operand_size;
  const down = ir.op('i64.extend_i32_u', ir.cpu_load('i32.load', CpuState.df.offset));
  return ir.op('i64.sub', ir.i64(size), ir.op('i64.mul', down, ir.i64(2 * size)));
}

function index(ir: Ir, register: number): Value {
  return ir.gpr(register, ir.form.address_size);
}

function advance(ir: Ir, register: number, from: Value, by: Value): void {
  ir.set_gpr(register, ir.op('i64.add', from, by), ir.form.address_size);
}

/** One element: does the work, moves the index registers; answers what is compared, if anything is. */
type Element = (ir: Ir) => readonly [Value, Value] | null;

function move_element(ir: Ir): null {
  const size = ir.form.operand_size;
  const rsi = index(ir, RSI);
  const rdi = index(ir, RDI);
  const by = delta(ir);
  const value = ir.load(LOAD_U64[size]!, size, source_address(ir, rsi));
  ir.store(STORE_64[size]!, size, rdi, value);
  advance(ir, RSI, rsi, by);
  advance(ir, RDI, rdi, by);
  return null;
}

function store_element(ir: Ir): null {
  const size = ir.form.operand_size;
  const rdi = index(ir, RDI);
  ir.store(STORE_64[size]!, size, rdi, ir.gpr(RAX, size));
  advance(ir, RDI, rdi, delta(ir));
  return null;
}

function load_element(ir: Ir): null {
  const size = ir.form.operand_size;
  const rsi = index(ir, RSI);
  const value = ir.load(LOAD_U64[size]!, size, source_address(ir, rsi));
  ir.set_gpr(RAX, value, size);
  advance(ir, RSI, rsi, delta(ir));
  return null;
}

function compare_element(ir: Ir): readonly [Value, Value] {
  const size = ir.form.operand_size;
  const rsi = index(ir, RSI);
  const rdi = index(ir, RDI);
  const by = delta(ir);
  // When both operands fault, processors report the one at RDI.
  const b = ir.load(LOAD_U64[size]!, size, rdi);
  const a = ir.load(LOAD_U64[size]!, size, source_address(ir, rsi));
  advance(ir, RSI, rsi, by);
  advance(ir, RDI, rdi, by);
  return [a, b];
}

function scan_element(ir: Ir): readonly [Value, Value] {
  const size = ir.form.operand_size;
  const rdi = index(ir, RDI);
  const a = ir.gpr(RAX, size);
  const b = ir.load(LOAD_U64[size]!, size, rdi);
  advance(ir, RDI, rdi, delta(ir));
  return [a, b];
}

function compare_flags(ir: Ir, a: Value, b: Value): void {
  flags_sub(ir, a, b, ir.op('i64.sub', a, b), ir.form.operand_size);
}

/**
 * Runs elements until RCX is a multiple of PIECE; `repeat`s while it is not zero and the condition holds. What is left
 * says where a piece ends, and not what is done: translated code that gives a piece up has the interpreter go on in its
 * middle. Flags change only when the instruction ends: a fault in between leaves those from before it (Intel manual,
 * volume 2, REP).
 */
function repeat_elements(ir: Ir, element: Element): void {
  const more = ir.variable(ir.i32(0));
  const first = ir.variable(ir.i64(0));
  const second = ir.variable(ir.i64(0));
  let compares = false;
  ir.loop((again) => {
    const count = index(ir, RCX);
    const compared = element(ir);
    const rest = ir.op('i64.sub', count, ir.i64(1));
    ir.set_gpr(RCX, rest, ir.form.address_size);
    let goes_on = ir.op('i64.ne', rest, ir.i64(0));
    if (compared !== null) {
      compares = true;
      ir.set(first, compared[0]);
      ir.set(second, compared[1]);
      const wanted = ir.op(ir.form.rep === 'rep' ? 'i64.eq' : 'i64.ne', compared[0], compared[1]);
      goes_on = ir.op('i32.and', goes_on, wanted);
    }
    ir.set(more, goes_on);
    ir.break_loop(again, ir.op('i32.eqz', goes_on));
    ir.continue_loop(again, ir.op('i32.and', ir.op('i32.wrap_i64', rest), ir.i32(PIECE - 1)));
  });
  ir.if(
    ir.get(more),
    () => ir.repeat(),
    () => {
      if (compares) compare_flags(ir, ir.get(first), ir.get(second));
    },
  );
}

function repeated(ir: Ir, body: () => void): void {
  ir.if(ir.op('i64.ne', index(ir, RCX), ir.i64(0)), body);
}

function clear_upper(ir: Ir, register: number): void {
  ir.set_gpr(register, ir.gpr(register, 4), 4);
}

/** A string instruction that works on the given index registers. */
function string(
  registers: readonly number[],
  element: Element,
  whole_page: ((ir: Ir) => void) | null = null,
): (ir: Ir) => void {
  return (ir) => {
    if (ir.form.rep === 'none') {
      const compared = element(ir);
      if (compared !== null) compare_flags(ir, compared[0], compared[1]);
      return;
    }
    // With 32-bit addresses upper halves go, even if the first element faults; RCX's even if there is none.
    if (ir.form.address_size === 4) clear_upper(ir, RCX);
    repeated(ir, () => {
      if (ir.form.address_size === 4) for (const register of registers) clear_upper(ir, register);
      if (whole_page === null) return repeat_elements(ir, element);
      const down = ir.cpu_load('i32.load', CpuState.df.offset);
      ir.if(
        down,
        () => repeat_elements(ir, element),
        () => whole_page(ir),
      );
    });
  };
}

/** Whole elements from an address to the end of its page. */
function room(ir: Ir, address: Value): Value {
  const shift = Math.log2(ir.form.operand_size);
  const bytes = ir.op('i64.sub', ir.i64(PAGE), ir.op('i64.and', address, ir.i64(PAGE - 1)));
  return ir.op('i64.shr_u', bytes, ir.i64(shift));
}

function minimum(ir: Ir, a: Value, b: Value): Value {
  return ir.select(ir.op('i64.lt_u', a, b), a, b);
}

/** Takes `count` elements off RCX and repeats while some are left. */
function piece_done(ir: Ir, count: Value): void {
  const rest = ir.op('i64.sub', index(ir, RCX), count);
  ir.set_gpr(RCX, rest, ir.form.address_size);
  ir.if(ir.op('i64.ne', rest, ir.i64(0)), () => ir.repeat());
}

/** The next piece of an upward rep movs. An element that crosses a page goes alone. */
function move_page(ir: Ir): void {
  const size = ir.form.operand_size;
  const shift = ir.i64(Math.log2(size));
  const rsi = index(ir, RSI);
  const rdi = index(ir, RDI);
  const source = source_address(ir, rsi);
  const count = minimum(ir, index(ir, RCX), minimum(ir, room(ir, source), room(ir, rdi)));
  ir.if(
    ir.op('i64.eqz', count),
    () => {
      move_element(ir);
      piece_done(ir, ir.i64(1));
    },
    () => {
      const bytes = ir.op('i64.shl', count, shift);
      const length = ir.op('i32.wrap_i64', bytes);
      const from = ir.resolve(source, 1, false);
      const to = ir.resolve(rdi, 1, true);
      // An upward copy onto bytes still to be read repeats them; a block copy would not.
      const overlap = ir.op('i32.lt_u', ir.op('i32.sub', to, from), length);
      ir.if(
        overlap,
        () => copy_elements(ir, to, from, length),
        () => ir.raw_bulk('memory.copy', to, from, length),
      );
      advance(ir, RSI, rsi, bytes);
      advance(ir, RDI, rdi, bytes);
      piece_done(ir, count);
    },
  );
}

function copy_elements(ir: Ir, to: Value, from: Value, length: Value): void {
  const size = ir.form.operand_size;
  const done = ir.variable(ir.i32(0));
  ir.loop((again) => {
    const at = ir.get(done);
    const value = ir.raw_load(LOAD_U64[size]!, ir.op('i32.add', from, at));
    ir.raw_store(STORE_64[size]!, 1, ir.op('i32.add', to, at), value);
    const next = ir.op('i32.add', at, ir.i32(size));
    ir.set(done, next);
    ir.continue_loop(again, ir.op('i32.lt_u', next, length));
  });
}

/** The next piece of an upward rep stos. */
function store_page(ir: Ir): void {
  const size = ir.form.operand_size;
  const rdi = index(ir, RDI);
  const count = minimum(ir, index(ir, RCX), room(ir, rdi));
  ir.if(
    ir.op('i64.eqz', count),
    () => {
      store_element(ir);
      piece_done(ir, ir.i64(1));
    },
    () => {
      const bytes = ir.op('i64.shl', count, ir.i64(Math.log2(size)));
      const length = ir.op('i32.wrap_i64', bytes);
      const to = ir.resolve(rdi, 1, true);
      const value = ir.gpr(RAX, size);
      const byte = ir.op('i64.and', value, ir.i64(0xff));
      const pattern = ir.zero_extend(ir.op('i64.mul', byte, ir.i64(0x0101_0101_0101_0101n)), size);
      ir.if(
        ir.op('i64.eq', pattern, value),
        () => ir.raw_bulk('memory.fill', to, ir.op('i32.wrap_i64', byte), length),
        () => fill_elements(ir, to, value, length),
      );
      advance(ir, RDI, rdi, bytes);
      piece_done(ir, count);
    },
  );
}

function fill_elements(ir: Ir, to: Value, value: Value, length: Value): void {
  const size = ir.form.operand_size;
  const done = ir.variable(ir.i32(0));
  ir.loop((again) => {
    const at = ir.get(done);
    ir.raw_store(STORE_64[size]!, 1, ir.op('i32.add', to, at), value);
    const next = ir.op('i32.add', at, ir.i32(size));
    ir.set(done, next);
    ir.continue_loop(again, ir.op('i32.lt_u', next, length));
  });
}

export const STRING: Family = {
  movs: string([RSI, RDI], move_element, move_page),
  stos: string([RDI], store_element, store_page),
  lods: string([RSI], load_element),
  cmps: string([RSI, RDI], compare_element),
  scas: string([RDI], scan_element),
  xlat(ir) {
    const offset = ir.op('i64.add', ir.gpr(RBX), ir.gpr(RAX, 1));
    const address = ir.op('i64.add', ir.segment_base(), ir.zero_extend(offset, ir.form.address_size));
    ir.set_gpr(RAX, ir.load('i64.load8_u', 1, address), 1);
  },
};
