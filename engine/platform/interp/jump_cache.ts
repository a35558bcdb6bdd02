/** Looking the record of an address up in the jump cache, for the interpreter and for translated code. */
import { JUMP_CACHE_ENTRIES, JUMP_CACHE_ENTRY_SHIFT, JUMP_CACHE_OFFSET, Vcpu } from '../../machine/vcpu.layout.ts';
import type { Code, Label } from '../../wasm/code.ts';

/** Puts the record of the address `rip` into `op`, by the jump cache; branches to `missed` without one. */
export function look_up(c: Code, vcpu: number, rip: number, slot: number, op: number, missed: Label): void {
  c.get(rip).get(rip).i64(12).op('i64.shr_u').op('i64.xor').op('i32.wrap_i64');
  c.get(vcpu).op('i32.load', Vcpu.code_salt.offset).op('i32.xor');
  c.i32(JUMP_CACHE_ENTRIES - 1)
    .op('i32.and')
    .i32(JUMP_CACHE_ENTRY_SHIFT)
    .op('i32.shl');
  c.get(vcpu).op('i32.add').tee(slot).op('i64.load', JUMP_CACHE_OFFSET).get(rip).op('i64.ne').br_if_unlikely(missed);
  c.get(slot).op('i32.load', JUMP_CACHE_OFFSET + 12);
  c.get(vcpu).op('i32.load', Vcpu.code_tag.offset).op('i32.ne').br_if_unlikely(missed);
  c.get(slot)
    .op('i32.load', JUMP_CACHE_OFFSET + 8)
    .set(op);
}
