/**
 * How a region goes on where it ends: to another region, or back to the interpreter.
 *
 * A region begins with loads from the instance that the table of functions has for it. The processor foresees where an
 * indirect jump goes, but no value: where the region is read from an entry of the jump cache, which the guest's address
 * picks, nothing of it starts before the instruction that the guest jumps with is done, and the loads of both add up. So
 * a way out remembers the records that it has led to, its links. They are at a fixed place, and what the address decides
 * is which branches are taken. Measured where regions of 20 instructions lead to each other through pointers: 39 ns a
 * region by the jump cache, 24 by links.
 *
 * A link has the fields of an entry of the jump cache and is valid under the same conditions.
 */
import { JUMP_CACHE_ENTRY_SHIFT, LINKS_OFFSET, Vcpu } from '../../machine/vcpu.layout.ts';
import type { Code, FunctionRef, Label } from '../../wasm/code.ts';
import type { ModuleBuilder } from '../../wasm/module.ts';
import { look_up } from './jump_cache.ts';
import { INFO_KIND_SHIFT, INFO_REASON_SHIFT, KIND_KEPT, LEAVE_JUMP, LEAVE_SWITCH } from './leave.ts';
import { RECORD_HANDLER, RECORD_POSITION } from './record.ts';

/** A way out as one word: by an indirect jump; into its own region, likely; how many links; the number of the first. */
export const WAY_SWITCH = 1;
export const WAY_INSIDE = 2;
export const WAY_COUNT_SHIFT = 2;
const WAY_COUNT_MASK = 0x3f;
export const WAY_LINK_SHIFT = 8;

/** chain(cpu, vcpu, fuel, rip, way): goes on at `rip`, a block boundary. Flags are in the vCPU, or where they were. */
export function define_chain(
  m: ModuleBuilder,
  f: FunctionRef,
  handler_type: number,
  first_region: number,
  leave_region: FunctionRef,
  sampled: FunctionRef,
): void {
  const c = m.code(f);
  const [cpu, vcpu, fuel, rip, way, mark] = [0, 1, 2, 3, 4, 5];
  const op = c.local('i32');
  const handler = c.local('i32');
  const countdown = c.local('i32');
  const leave = c.block();
  c.get(fuel).i32(0).op('i32.le_s').get(vcpu).op('i32.load', Vcpu.interrupt.offset).op('i32.or').br_if_unlikely(leave);
  find_linked(c, vcpu, fuel, rip, way, op, leave);
  c.get(op).op('i32.load16_u', RECORD_HANDLER).tee(handler).i32(first_region).op('i32.lt_u').br_if(leave);
  c.get(vcpu).get(vcpu).op('i32.load', Vcpu.chain_countdown.offset).i32(1).op('i32.sub').tee(countdown);
  c.op('i32.store', Vcpu.chain_countdown.offset);
  c.get(countdown).i32(0).op('i32.le_s').open_if_unlikely();
  c.get(way).i32(WAY_LINK_SHIFT).op('i32.shr_u').get(op).get(vcpu).call(sampled).end();
  c.get(op).get(cpu).get(vcpu).get(fuel).get(op).op('i32.load8_u', RECORD_POSITION).op('i32.add');
  c.i32(0).get(handler).return_call_indirect(handler_type);
  c.end();
  c.get(cpu).get(vcpu).get(fuel).get(rip);
  c.i32((LEAVE_SWITCH << INFO_REASON_SHIFT) | (KIND_KEPT << INFO_KIND_SHIFT));
  c.i32((LEAVE_JUMP << INFO_REASON_SHIFT) | (KIND_KEPT << INFO_KIND_SHIFT));
  c.get(way).i32(WAY_SWITCH).op('i32.and').select();
  c.i32(0).i64(0).i64(0).i64(0).get(mark).return_call(leave_region);
  m.define(f, c);
}

/** Puts the record of the address `rip` into `op`: by the links of the way out, else by the jump cache, or leaves. */
function find_linked(c: Code, vcpu: number, fuel: number, rip: number, way: number, op: number, leave: Label): void {
  const first = c.local('i32');
  const bytes = c.local('i32');
  const slot = c.local('i32');
  const end = c.local('i32');
  c.get(way).i32(WAY_COUNT_SHIFT).op('i32.shr_u').i32(WAY_COUNT_MASK).op('i32.and');
  c.i32(JUMP_CACHE_ENTRY_SHIFT).op('i32.shl').set(bytes);
  c.get(way).i32(WAY_LINK_SHIFT).op('i32.shr_u').i32(JUMP_CACHE_ENTRY_SHIFT).op('i32.shl');
  c.i32(LINKS_OFFSET).op('i32.add').get(vcpu).op('i32.add').tee(first).tee(slot);
  c.get(bytes).op('i32.add').set(end);
  const found = c.block();
  c.get(bytes).if();
  const again = c.loop();
  const differs = c.block();
  c.get(slot).op('i64.load').get(rip).op('i64.ne').br_if(differs);
  c.get(slot).op('i32.load', 12).get(vcpu).op('i32.load', Vcpu.code_tag.offset).op('i32.ne').br_if_unlikely(differs);
  c.get(slot).op('i32.load', 8).set(op).br(found).end();
  c.get(slot)
    .i32(1 << JUMP_CACHE_ENTRY_SHIFT)
    .op('i32.add')
    .tee(slot);
  c.get(end).op('i32.ne').br_if(again).end().end();
  look_up(c, vcpu, rip, slot, op, leave);
  c.get(bytes).if();
  // Which link is made, the fuel that is left decides, since it is different each time; their number is a power of 2.
  c.get(fuel).i32(JUMP_CACHE_ENTRY_SHIFT).op('i32.shl');
  c.get(bytes)
    .i32(1)
    .op('i32.sub')
    .i32(-1 << JUMP_CACHE_ENTRY_SHIFT)
    .op('i32.and')
    .op('i32.and');
  c.get(first).op('i32.add').tee(slot).get(rip).op('i64.store');
  c.get(slot).get(op).op('i32.store', 8);
  c.get(slot).get(vcpu).op('i32.load', Vcpu.code_tag.offset).op('i32.store', 12).end();
  c.end();
}
