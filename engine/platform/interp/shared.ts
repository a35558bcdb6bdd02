/**
 * The functions that all handlers share, in the interpreter's module: address translation beyond the TLB, entering
 * and leaving code, exact accounting, compare-and-swap of any alignment.
 */
import { MACHINE, MachineHeader } from '../../heap/machine.layout.ts';
import { CpuState, RAX, RBX, RCX, RDX } from '../../machine/cpu.layout.ts';
import { FRAME_CODE, FrameInfo } from '../../machine/frame.layout.ts';
import { PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT, PTE_WRITE, TASK_SIZE } from '../../machine/page_table.layout.ts';
import {
  ACCESS_WRITE,
  TLB_ENTRIES,
  TLB_ENTRY_SHIFT,
  TLB_LOG_LIMIT,
  TLB_LOG_OFFSET,
  TLB_OFFSET,
  Vcpu,
} from '../../machine/vcpu.layout.ts';
import type { Code, FunctionRef } from '../../wasm/code.ts';
import type { ModuleBuilder } from '../../wasm/module.ts';
import { EXIT_EXCEPTION, EXIT_FAULT, EXIT_FUEL, EXIT_INTERRUPT, EXIT_SYSCALL } from '../platform.ts';
import {
  CPU,
  dispatch,
  FUEL,
  HANDLER_PARAMS,
  OP,
  push_ahead,
  push_boundary,
  push_is_hot,
  push_next_rip,
  push_rip,
  retire,
  VCPU,
} from './dispatch.ts';
import { look_up } from './jump_cache.ts';
import {
  ENTRY_SWITCH,
  RECORD_DISPLACEMENT,
  RECORD_ENTRY,
  RECORD_HANDLER,
  RECORD_POSITION,
  RECORD_RIP,
} from './record.ts';

/** Byte offset in the TLB of an address's entry: page number modulo entries, times entry size. */
export const TLB_SHIFT = 12 - TLB_ENTRY_SHIFT;
export const TLB_MASK = (TLB_ENTRIES - 1) << TLB_ENTRY_SHIFT;
export const TLB_READ = TLB_OFFSET;
export const TLB_WRITE = TLB_OFFSET + 8;
export const TLB_ADDEND = TLB_OFFSET + 16;

export interface Imports {
  readonly fault: FunctionRef;
  readonly syscall: FunctionRef;
  readonly decode: FunctionRef;
  readonly link: FunctionRef;
  readonly code_write: FunctionRef;
  readonly hot: FunctionRef;
  readonly original: FunctionRef;
  readonly validate: FunctionRef;
  readonly point: FunctionRef;
  readonly marked: FunctionRef;
  readonly sampled: FunctionRef;
}

export interface Shared {
  readonly imports: Imports;
  readonly handler_type: number;
  readonly resolve: FunctionRef;
  readonly commit: FunctionRef;
  /** Compare-and-swap by operand size. */
  readonly cas: Readonly<Record<number, FunctionRef>>;
  readonly swap_16: FunctionRef;
  readonly fault: FunctionRef;
  readonly exception: FunctionRef;
  readonly exception_behind: FunctionRef;
  readonly jump: FunctionRef;
  /** `jump` of an indirect jump instruction. */
  readonly switch: FunctionRef;
  readonly enter: FunctionRef;
  /** `enter` of code that follows: no branch leads there. */
  readonly behind: FunctionRef;
  readonly warm: FunctionRef;
  readonly sync: FunctionRef;
  readonly taken: FunctionRef;
  readonly next: FunctionRef;
  readonly repeat: FunctionRef;
  readonly syscall: FunctionRef;
  readonly run: FunctionRef;
}

/**
 * Imports of the module: `fault(address f64, access)`, `decode(cpu, vcpu, rip lo, hi)`, `link(op, vcpu)`; for translated
 * code `hot(op, cpu, vcpu)`, `original(op, vcpu)` (a handler), `validate(region, vcpu)`, `point(region, vcpu)`,
 * `marked(op, cpu, vcpu)` and `sampled(link, op, vcpu)`.
 */
export function import_hooks(m: ModuleBuilder): Imports {
  return {
    fault: m.import_function('hooks', 'fault', ['f64', 'i32'], ['i32']),
    syscall: m.import_function('hooks', 'syscall', [], ['i32']),
    decode: m.import_function('hooks', 'decode', ['i32', 'i32', 'i32', 'i32'], ['i32']),
    link: m.import_function('hooks', 'link', ['i32', 'i32'], ['i32']),
    code_write: m.import_function('hooks', 'code_write', ['i32', 'i32'], []),
    hot: m.import_function('hooks', 'hot', ['i32', 'i32', 'i32'], []),
    original: m.import_function('hooks', 'original', ['i32', 'i32'], ['i32']),
    validate: m.import_function('hooks', 'validate', ['i32', 'i32'], ['i32']),
    point: m.import_function('hooks', 'point', ['i32', 'i32'], ['i32']),
    marked: m.import_function('hooks', 'marked', ['i32', 'i32', 'i32'], []),
    sampled: m.import_function('hooks', 'sampled', ['i32', 'i32', 'i32'], []),
  };
}

function define_resolve(m: ModuleBuilder, imports: Imports): FunctionRef {
  const page = define_resolve_page(m, imports);
  const f = m.declare('resolve', ['i32', 'i64', 'i32', 'i32'], ['i32']);
  const c = m.code(f);
  const [vcpu, address, size, access] = [0, 1, 2, 3];
  const first = c.local('i32');
  const second = c.local('i32');
  const length = c.local('i32');
  const flushes = c.local('i32');
  // length = bytes up to the end of the first page
  c.i32(4096).get(address).op('i32.wrap_i64').i32(4095).op('i32.and').op('i32.sub').tee(length);
  c.get(size).op('i32.ge_u').if();
  c.get(vcpu).get(address).get(access).return_call(page);
  c.end();
  // A fault of the second page may let others change the first: a flush says so.
  const again = c.loop();
  c.get(vcpu).op('i32.atomic.load', Vcpu.flushes.offset).set(flushes);
  c.get(vcpu).get(address).get(access).call(page).tee(first).op('i32.eqz').open_if().i32(0).return().end();
  c.get(vcpu).get(address).i64(4095).op('i64.or').i64(1).op('i64.add').get(access).call(page).tee(second);
  c.op('i32.eqz').open_if().i32(0).return().end();
  c.get(vcpu).op('i32.atomic.load', Vcpu.flushes.offset).get(flushes).op('i32.ne').br_if(again);
  c.end();
  c.get(vcpu).get(first).op('i32.store', Vcpu.split_first.offset);
  c.get(vcpu).get(second).op('i32.store', Vcpu.split_second.offset);
  c.get(vcpu).get(length).op('i32.store', Vcpu.split_length.offset);
  const bounce = Vcpu.bounce.offset;
  c.get(vcpu).i32(bounce).op('i32.add').get(first).get(length).op('memory.copy');
  c.get(vcpu).i32(bounce).op('i32.add').get(length).op('i32.add').get(second);
  c.get(size).get(length).op('i32.sub').op('memory.copy');
  c.get(vcpu).i32(bounce).op('i32.add');
  m.define(f, c);
  return f;
}

/** Walks one level: pte address = (table & ~0xfff) + (address >> shift & mask) * 4, in `pte`. */
function walk_level(c: Code, entry: number, pte: number, address: number, shift: number, mask: number): void {
  c.get(entry).i32(~0xfff).op('i32.and');
  c.get(address).i64(shift).op('i64.shr_u').op('i32.wrap_i64').i32(mask).op('i32.and').i32(2).op('i32.shl');
  c.op('i32.add').tee(pte).op('i32.atomic.load').set(entry);
}

/** Vcpu.memory_calls += 1. */
function count_call(c: Code, vcpu: number): void {
  c.get(vcpu).get(vcpu).op('i32.load', Vcpu.memory_calls.offset).i32(1).op('i32.add');
  c.op('i32.store', Vcpu.memory_calls.offset);
}

/** resolve_page(vcpu, address, access): machine address of the byte, or 0 when the fault stands. Fills the TLB. */
function define_resolve_page(m: ModuleBuilder, imports: Imports): FunctionRef {
  const f = m.declare('resolve_page', ['i32', 'i64', 'i32'], ['i32']);
  const c = m.code(f);
  const [vcpu, address, access] = [0, 1, 2];
  const entry = c.local('i32');
  const pte = c.local('i32');
  const wanted = c.local('i32');
  const flags = c.local('i32');
  c.get(vcpu).get(vcpu).op('i64.load', Vcpu.tlb_misses.offset).i64(1).op('i64.add');
  c.op('i64.store', Vcpu.tlb_misses.offset);
  const retry = c.loop();
  const failed = c.block();
  c.get(address).i64(TASK_SIZE).op('i64.ge_u').br_if(failed);
  c.get(vcpu).op('i32.load', Vcpu.page_table.offset).tee(entry).op('i32.eqz').br_if(failed);
  for (const [shift, mask] of [
    [42, 31],
    [32, 1023],
    [22, 1023],
    [12, 1023],
  ] as const) {
    walk_level(c, entry, pte, address, shift, mask);
    c.get(entry).i32(PTE_PRESENT).op('i32.and').op('i32.eqz').br_if(failed);
  }
  c.get(entry).i32(PTE_ACCESSED).op('i32.or').set(wanted);
  // Frame flags: (frame >>> 12) * 16 + frame table.
  c.get(vcpu).op('i32.load', Vcpu.frame_table.offset);
  c.get(entry).i32(12).op('i32.shr_u').i32(4).op('i32.shl').op('i32.add');
  c.op('i32.atomic.load', FrameInfo.flags.offset).set(flags);
  c.get(access).i32(ACCESS_WRITE).op('i32.eq').if();
  c.get(entry).i32(PTE_WRITE).op('i32.and').op('i32.eqz').br_if(failed);
  c.get(wanted).i32(PTE_DIRTY).op('i32.or').set(wanted);
  c.get(flags).i32(FRAME_CODE).op('i32.and').if();
  count_call(c, vcpu);
  c.get(vcpu).get(entry).i32(~0xfff).op('i32.and').call(imports.code_write).br(retry);
  c.end();
  c.end();
  // Accessed and dirty bits; if the entry changes meanwhile, walk again.
  c.get(entry).get(wanted).op('i32.ne').if();
  c.get(pte).get(entry).get(wanted).op('i32.atomic.rmw.cmpxchg').get(entry).op('i32.ne').br_if(retry);
  c.end();
  fill_tlb(c, vcpu, address, wanted, flags);
  c.get(wanted).i32(~0xfff).op('i32.and').get(address).op('i32.wrap_i64').i32(4095).op('i32.and').op('i32.or').return();
  c.end();
  c.get(vcpu).get(address).op('i64.store', Vcpu.fault_address.offset);
  c.get(vcpu).get(access).op('i32.store', Vcpu.fault_access.offset);
  count_call(c, vcpu);
  c.get(address).op('f64.convert_i64_u').get(access).call(imports.fault).op('i32.eqz').br_if(retry);
  // The hook may have used these words for faults of its own.
  c.get(vcpu).get(address).op('i64.store', Vcpu.fault_address.offset);
  c.get(vcpu).get(access).op('i32.store', Vcpu.fault_access.offset);
  c.end();
  c.i32(0);
  m.define(f, c);
  return f;
}

/** Notes in the log which TLB entry is filled, so that the kernel need not look at all of them to empty it. */
function log_fill(c: Code, vcpu: number, slot: number): void {
  const used = c.local('i32');
  c.get(vcpu).op('i32.load', TLB_LOG_OFFSET).tee(used).i32(TLB_LOG_LIMIT).op('i32.le_u').open_if();
  c.get(vcpu).get(used).i32(2).op('i32.shl').op('i32.add').get(slot).get(vcpu).op('i32.sub');
  c.op('i32.store', TLB_LOG_OFFSET + 4);
  c.get(vcpu).get(used).i32(1).op('i32.add').op('i32.store', TLB_LOG_OFFSET);
  c.end();
}

/** Writes the TLB entry: reads always, writes when the page is writable, already dirty and without code. */
function fill_tlb(c: Code, vcpu: number, address: number, pte: number, flags: number): void {
  const slot = c.local('i32');
  const page = c.local('i64');
  c.get(address).i64(~0xfffn).op('i64.and').set(page);
  c.get(address).op('i32.wrap_i64').i32(TLB_SHIFT).op('i32.shr_u').i32(TLB_MASK).op('i32.and');
  c.get(vcpu).op('i32.add').tee(slot).get(page).op('i64.store', TLB_READ);
  c.get(slot).get(page).i64(-1);
  c.get(pte)
    .i32(PTE_WRITE | PTE_DIRTY)
    .op('i32.and')
    .i32(PTE_WRITE | PTE_DIRTY)
    .op('i32.eq');
  c.get(flags).i32(FRAME_CODE).op('i32.and').op('i32.eqz').op('i32.and').select();
  c.op('i64.store', TLB_WRITE);
  c.get(slot).get(pte).i32(~0xfff).op('i32.and').get(page).op('i32.wrap_i64').op('i32.sub');
  c.op('i32.store', TLB_ADDEND);
  log_fill(c, vcpu, slot);
}

/** commit(vcpu, size): writes the bounce buffer to the two pages it stands for. */
function define_commit(m: ModuleBuilder): FunctionRef {
  const f = m.declare('commit', ['i32', 'i32'], []);
  const c = m.code(f);
  copy_split(c, 1, true);
  m.define(f, c);
  return f;
}

/** Copies both halves between the bounce buffer of the vCPU in local 0 and their pages. */
function copy_split(c: Code, size: number, out: boolean): void {
  const vcpu = 0;
  const length = (): Code => c.get(vcpu).op('i32.load', Vcpu.split_length.offset);
  const first = (): Code => c.get(vcpu).op('i32.load', Vcpu.split_first.offset);
  const second = (): Code => c.get(vcpu).op('i32.load', Vcpu.split_second.offset);
  const bounce = (): Code => c.get(vcpu).i32(Vcpu.bounce.offset).op('i32.add');
  const bounce_second = (): Code => {
    bounce();
    length();
    return c.op('i32.add');
  };
  if (out) first();
  bounce();
  if (!out) first();
  length().op('memory.copy');
  if (out) second();
  bounce_second();
  if (!out) second();
  c.get(size);
  length().op('i32.sub').op('memory.copy');
}

/**
 * swap_part(word, mask, expected, value): 1 when the bits of `mask` in an aligned word were `expected` and are now
 * `value`. The other bits stay what whoever else writes them makes of them.
 */
function define_swap_part(m: ModuleBuilder): FunctionRef {
  const f = m.declare('swap_part', ['i32', 'i64', 'i64', 'i64'], ['i32']);
  const c = m.code(f);
  const [word, mask, expected, value] = [0, 1, 2, 3];
  const seen = c.local('i64');
  const again = c.loop();
  c.get(word).op('i64.atomic.load').tee(seen).get(mask).op('i64.and').get(expected).op('i64.ne');
  c.open_if().i32(0).return().end();
  c.get(word).get(seen);
  c.get(seen).get(mask).i64(-1).op('i64.xor').op('i64.and').get(value).op('i64.or');
  c.op('i64.atomic.rmw.cmpxchg').get(seen).op('i64.ne').br_if(again);
  c.end();
  c.i32(1);
  m.define(f, c);
  return f;
}

/** Takes the machine's bus lock, which operations on more than one aligned word hold. */
function take_bus_lock(c: Code): void {
  const spin = c.loop();
  c.i32(MACHINE).i32(0).i32(1).op('i32.atomic.rmw.cmpxchg', MachineHeader.bus_lock.offset).br_if(spin);
  c.end();
}

function give_bus_lock(c: Code): void {
  c.i32(MACHINE).i32(0).op('i32.atomic.store', MachineHeader.bus_lock.offset);
}

/** Where the bytes of `pointer` really begin, and the aligned word after the one in which they do. */
function locate_words(c: Code, bounced: number, vcpu: number, pointer: number, second: number): void {
  c.get(bounced).if();
  c.get(vcpu).op('i32.load', Vcpu.split_first.offset).set(pointer);
  c.get(vcpu).op('i32.load', Vcpu.split_second.offset).set(second);
  c.else();
  c.get(pointer).i32(-8).op('i32.and').i32(8).op('i32.add').set(second);
  c.end();
}

/**
 * cas(vcpu, pointer, expected, value): 1 when the word at the pointer was `expected` and is now `value`. An aligned word,
 * or one inside of an aligned word of 8 bytes, by one atomic instruction. Others, and those in the bounce buffer, lie in
 * two words, which are changed one after the other under the bus lock: should the second have changed before its turn,
 * the first is put back. So no update of whoever uses one of the words alone is lost, but the first half may be seen.
 */
function define_cas(m: ModuleBuilder, size: number, swap_part: FunctionRef): FunctionRef {
  const f = m.declare(`cas${size * 8}`, ['i32', 'i32', 'i64', 'i64'], ['i32']);
  const c = m.code(f);
  const [vcpu, pointer, expected, value] = [0, 1, 2, 3];
  const width = size === 8 ? '' : `${size * 8}`;
  const mask = size === 8 ? -1n : (1n << BigInt(size * 8)) - 1n;
  const bounced = c.local('i32');
  c.get(expected).i64(mask).op('i64.and').set(expected);
  c.get(value).i64(mask).op('i64.and').set(value);
  c.get(pointer).get(vcpu).i32(Vcpu.bounce.offset).op('i32.add').op('i32.eq').set(bounced);
  c.get(pointer)
    .i32(size - 1)
    .op('i32.and')
    .get(bounced)
    .op('i32.or')
    .op('i32.eqz')
    .if();
  c.get(pointer).get(expected).get(value);
  c.op(`i64.atomic.rmw${width}.cmpxchg${size === 8 ? '' : '_u'}`)
    .get(expected)
    .op('i64.eq')
    .return();
  c.end();
  const second = c.local('i32');
  const shift = c.local('i64');
  const done = c.local('i32');
  const length = c.local('i32');
  locate_words(c, bounced, vcpu, pointer, second);
  c.get(pointer).i32(7).op('i32.and').i32(3).op('i32.shl').op('i64.extend_i32_u').set(shift);
  const word = (): Code => c.get(pointer).i32(-8).op('i32.and');
  const upper = (local: number): Code => c.get(local).get(shift).op('i64.shl');
  const lower = (local: number): Code => c.get(local).i64(64).get(shift).op('i64.sub').op('i64.shr_u');
  const first_mask = (): Code => c.i64(mask).get(shift).op('i64.shl');
  c.get(shift)
    .i64(64 - size * 8)
    .op('i64.le_u')
    .if();
  word();
  first_mask();
  upper(expected);
  upper(value).call(swap_part).return();
  c.end();
  take_bus_lock(c);
  word();
  first_mask();
  upper(expected);
  upper(value).call(swap_part).if();
  c.get(second).i64(mask).i64(64).get(shift).op('i64.sub').op('i64.shr_u');
  lower(expected);
  lower(value).call(swap_part).tee(done).op('i32.eqz').if();
  word();
  first_mask();
  upper(value);
  upper(expected).call(swap_part).drop();
  c.end();
  c.end();
  // What the next attempt begins with.
  c.i32(size).set(length);
  c.get(bounced).if();
  copy_split(c, length, false);
  c.end();
  give_bus_lock(c);
  c.get(done);
  m.define(f, c);
  return f;
}

/** swap_16(cpu, pointer): cmpxchg16b, as two words of a `cas`; 1 when equal. */
function define_swap_16(m: ModuleBuilder, swap_part: FunctionRef): FunctionRef {
  const f = m.declare('swap_16', ['i32', 'i32'], ['i32']);
  const c = m.code(f);
  const [cpu, pointer] = [0, 1];
  const low = c.local('i64');
  const high = c.local('i64');
  const equal = c.local('i32');
  const gpr = (number: number): number => CpuState.gpr.offset + number * 8;
  const reg = (number: number): Code => c.get(cpu).op('i64.load', gpr(number));
  take_bus_lock(c);
  const again = c.loop();
  c.get(pointer).op('i64.atomic.load').set(low).get(pointer).op('i64.atomic.load', 8).set(high);
  c.get(low);
  reg(RAX).op('i64.eq').get(high);
  reg(RDX).op('i64.eq').op('i32.and').tee(equal).if();
  c.get(pointer).i64(-1).get(low);
  reg(RBX).call(swap_part).op('i32.eqz').br_if(again);
  c.get(pointer).i32(8).op('i32.add').i64(-1).get(high);
  reg(RCX).call(swap_part).op('i32.eqz').if();
  c.get(pointer).i64(-1);
  reg(RBX).get(low).call(swap_part).drop().br(again);
  c.end();
  c.else();
  c.get(cpu).get(low).op('i64.store', gpr(RAX));
  c.get(cpu).get(high).op('i64.store', gpr(RDX));
  c.end();
  c.end();
  give_bus_lock(c);
  c.get(equal);
  m.define(f, c);
  return f;
}

/** sync(cpu, vcpu, fuel): retired += what went since the last time; Vcpu.fuel = fuel. */
function define_sync(m: ModuleBuilder): FunctionRef {
  const f = m.declare('sync', ['i32', 'i32', 'i32'], []);
  const c = m.code(f);
  const [cpu, vcpu, fuel] = [0, 1, 2];
  c.get(cpu).get(cpu).op('f64.load', CpuState.retired.offset);
  c.get(vcpu).op('i32.load', Vcpu.fuel_base.offset).get(fuel).op('i32.sub').op('f64.convert_i32_s').op('f64.add');
  c.op('f64.store', CpuState.retired.offset);
  c.get(vcpu).get(fuel).op('i32.store', Vcpu.fuel.offset);
  c.get(vcpu).get(fuel).op('i32.store', Vcpu.fuel_base.offset);
  m.define(f, c);
  return f;
}

/** A handler-shaped function that leaves with `reason`, RIP at the instruction or behind it. */
function define_exit(m: ModuleBuilder, sync: FunctionRef, name: string, reason: number, behind: boolean): FunctionRef {
  const f = m.declare(name, HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  retire(c, behind ? 1 : 0);
  c.get(CPU);
  if (behind) push_next_rip(c);
  else push_rip(c);
  c.op('i64.store', CpuState.rip.offset);
  c.get(CPU).get(VCPU).get(FUEL).call(sync);
  c.i32(reason);
  m.define(f, c);
  return f;
}

/** leave(cpu, vcpu, fuel, rip): the end of a slice at a boundary. */
function define_leave(m: ModuleBuilder, sync: FunctionRef): FunctionRef {
  const f = m.declare('leave', ['i32', 'i32', 'i32', 'i64'], ['i32']);
  const c = m.code(f);
  const [cpu, vcpu, fuel, rip] = [0, 1, 2, 3];
  c.get(cpu).get(rip).op('i64.store', CpuState.rip.offset);
  c.get(cpu).get(vcpu).get(fuel).call(sync);
  c.i32(EXIT_FUEL).i32(EXIT_INTERRUPT).get(fuel).i32(0).op('i32.le_s').select();
  m.define(f, c);
  return f;
}

/**
 * enter(cpu, vcpu, fuel, rip): runs the code at an address, through the jump cache. `enter_switch` marks where an indirect
 * jump leads; `enter_behind` is no branch, and makes nothing hot: a long loop would become so in the middle.
 */
function define_enter(
  m: ModuleBuilder,
  imports: Imports,
  sync: FunctionRef,
  warm: FunctionRef,
  handler_type: number,
  name: 'enter' | 'enter_switch' | 'enter_behind',
): FunctionRef {
  const f = m.declare(name, ['i32', 'i32', 'i32', 'i64'], ['i32']);
  const c = m.code(f);
  const [cpu, vcpu, fuel, rip] = [0, 1, 2, 3];
  const slot = c.local('i32');
  const op = c.local('i32');
  const heat = c.local('i32');
  const found = c.block();
  const missed = c.block();
  look_up(c, vcpu, rip, slot, op, missed);
  c.br(found).end();
  c.get(cpu).get(vcpu).get(rip).op('i32.wrap_i64').get(rip).i64(32).op('i64.shr_u').op('i32.wrap_i64');
  c.call(imports.decode).tee(op).op('i32.eqz').if();
  // JavaScript's number for an address beyond user space is not exact.
  c.get(rip).i64(TASK_SIZE).op('i64.ge_u').open_if();
  c.get(vcpu).get(rip).op('i64.store', Vcpu.fault_address.offset).end();
  c.get(cpu).get(rip).op('i64.store', CpuState.rip.offset);
  c.get(cpu).get(vcpu).get(fuel).call(sync);
  c.i32(EXIT_FAULT).return();
  c.end();
  c.end();
  c.get(cpu).get(rip).i64(32).op('i64.shr_u').op('i64.store32', CpuState.rip_hi.offset);
  c.get(fuel).get(op).op('i32.load8_u', RECORD_POSITION).op('i32.add').set(fuel);
  if (name === 'enter_switch') {
    // Entries of regions have their numbers there.
    c.get(op).op('i32.load8_u', RECORD_ENTRY).op('i32.eqz').open_if();
    c.get(op).i32(ENTRY_SWITCH).op('i32.store8', RECORD_ENTRY);
    c.get(op).get(cpu).get(vcpu).call(imports.marked).end();
  }
  if (name !== 'enter_behind') {
    push_is_hot(c, op, heat);
    c.open_if().get(op).get(cpu).get(vcpu).get(fuel).i32(0).return_call(warm).end();
  }
  c.get(op).get(cpu).get(vcpu).get(fuel);
  push_ahead(c, op);
  c.get(op).op('i32.load16_u', RECORD_HANDLER).return_call_indirect(handler_type);
  m.define(f, c);
  return f;
}

/** warm(op, ...): tells that the record is hot, then runs what is there now. */
function define_warm(m: ModuleBuilder, imports: Imports, handler_type: number): FunctionRef {
  const f = m.declare('warm', HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  c.get(OP).get(CPU).get(VCPU).call(imports.hot);
  dispatch(c, handler_type);
  m.define(f, c);
  return f;
}

/** jump(cpu, vcpu, fuel, rip): a block boundary, then `enter`. */
function define_jump(m: ModuleBuilder, name: string, leave: FunctionRef, enter: FunctionRef): FunctionRef {
  const f = m.declare(name, ['i32', 'i32', 'i32', 'i64'], ['i32']);
  const c = m.code(f);
  const [cpu, vcpu, fuel, rip] = [0, 1, 2, 3];
  c.get(fuel).i32(0).op('i32.le_s').get(vcpu).op('i32.load', Vcpu.interrupt.offset).op('i32.or').if();
  c.get(cpu).get(vcpu).get(fuel).get(rip).return_call(leave);
  c.end();
  c.get(cpu).get(vcpu).get(fuel).get(rip).return_call(enter);
  m.define(f, c);
  return f;
}

/** taken(op, ...): a direct branch, fuel already taken, whose fast path did not apply. */
function define_taken(m: ModuleBuilder, imports: Imports, leave: FunctionRef, jump: FunctionRef, handler_type: number) {
  const f = m.declare('taken', HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  const next = c.local('i32');
  push_boundary(c);
  c.if();
  c.get(CPU).get(VCPU).get(FUEL).get(OP).op('i64.load', RECORD_DISPLACEMENT).return_call(leave);
  c.end();
  // A target on another page is never linked: asking each time took a seventh of a Python start.
  c.get(OP).op('i32.load', RECORD_RIP).get(OP).op('i32.load', RECORD_DISPLACEMENT).op('i32.xor');
  c.i32(12).op('i32.shr_u').op('i32.eqz').if();
  c.get(OP).get(VCPU).call(imports.link).tee(next).if();
  c.get(next).get(CPU).get(VCPU).get(FUEL).get(next).op('i32.load8_u', RECORD_POSITION).op('i32.add');
  push_ahead(c, next);
  c.get(next).op('i32.load16_u', RECORD_HANDLER).return_call_indirect(handler_type);
  c.end();
  c.end();
  c.get(CPU).get(VCPU).get(FUEL).get(OP).op('i64.load', RECORD_DISPLACEMENT).return_call(jump);
  m.define(f, c);
  return f;
}

/** next(op, ...): leaves at the boundary behind a branch that was not taken. */
function define_next(m: ModuleBuilder, leave: FunctionRef): FunctionRef {
  const f = m.declare('next', HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  c.get(CPU).get(VCPU).get(FUEL);
  push_next_rip(c);
  c.return_call(leave);
  m.define(f, c);
  return f;
}

function define_repeat(m: ModuleBuilder, leave: FunctionRef, handler_type: number): FunctionRef {
  const f = m.declare('repeat', HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  retire(c, 1);
  push_boundary(c);
  c.if();
  c.get(CPU).get(VCPU).get(FUEL);
  push_rip(c);
  c.return_call(leave);
  c.end();
  c.get(FUEL).get(OP).op('i32.load8_u', RECORD_POSITION).op('i32.add').set(FUEL);
  dispatch(c, handler_type);
  m.define(f, c);
  return f;
}

function define_syscall(m: ModuleBuilder, imports: Imports, sync: FunctionRef, jump: FunctionRef): FunctionRef {
  const f = m.declare('syscall', HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  retire(c, 1);
  c.get(CPU);
  push_next_rip(c);
  c.op('i64.store', CpuState.rip.offset);
  c.get(CPU).get(VCPU).get(FUEL).call(sync);
  c.call(imports.syscall).open_if().i32(EXIT_SYSCALL).return().end();
  // The sentry may have given other fuel, or moved RIP.
  c.get(VCPU).get(VCPU).op('i32.load', Vcpu.fuel.offset).tee(FUEL).op('i32.store', Vcpu.fuel_base.offset);
  c.get(CPU).get(VCPU).get(FUEL).get(CPU).op('i64.load', CpuState.rip.offset).return_call(jump);
  m.define(f, c);
  return f;
}

/** run(cpu, vcpu): the entry from JavaScript. */
function define_run(m: ModuleBuilder, enter: FunctionRef): FunctionRef {
  const f = m.declare('run', ['i32', 'i32'], ['i32']);
  const c = m.code(f);
  const fuel = c.local('i32');
  c.get(1).get(1).op('i32.load', Vcpu.fuel.offset).tee(fuel).op('i32.store', Vcpu.fuel_base.offset);
  c.get(fuel).i32(0).op('i32.le_s').open_if().i32(EXIT_FUEL).return().end();
  c.get(0).get(1).get(fuel).get(0).op('i64.load', CpuState.rip.offset).return_call(enter);
  m.define(f, c);
  return f;
}

/** Defines all of them. */
export function define_shared(m: ModuleBuilder, imports: Imports): Shared {
  const handler_type = m.type(HANDLER_PARAMS, ['i32']);
  const sync = define_sync(m);
  const leave = define_leave(m, sync);
  const warm = define_warm(m, imports, handler_type);
  const enter = define_enter(m, imports, sync, warm, handler_type, 'enter');
  const jump = define_jump(m, 'jump', leave, enter);
  const enter_switch = define_enter(m, imports, sync, warm, handler_type, 'enter_switch');
  const commit = define_commit(m);
  const swap_part = define_swap_part(m);
  return {
    imports,
    handler_type,
    resolve: define_resolve(m, imports),
    commit,
    cas: {
      1: define_cas(m, 1, swap_part),
      2: define_cas(m, 2, swap_part),
      4: define_cas(m, 4, swap_part),
      8: define_cas(m, 8, swap_part),
    },
    swap_16: define_swap_16(m, swap_part),
    fault: define_exit(m, sync, 'fault', EXIT_FAULT, false),
    exception: define_exit(m, sync, 'exception', EXIT_EXCEPTION, false),
    exception_behind: define_exit(m, sync, 'exception_behind', EXIT_EXCEPTION, true),
    jump,
    switch: define_jump(m, 'switch', leave, enter_switch),
    enter,
    behind: define_enter(m, imports, sync, warm, handler_type, 'enter_behind'),
    warm,
    sync,
    taken: define_taken(m, imports, leave, jump, handler_type),
    next: define_next(m, leave),
    repeat: define_repeat(m, leave, handler_type),
    syscall: define_syscall(m, imports, sync, jump),
    run: define_run(m, enter),
  };
}
