/**
 * Links: what a way out of a region remembers of the regions that it has led to.
 *
 * A region begins with loads from the instance that the table of functions has for it. The processor foresees where an
 * indirect jump goes, but no value: where the region is read from an entry of the jump cache, which the guest's address
 * picks, nothing of it starts before the instruction that the guest jumps with is done, and the loads of both add up. A
 * link is read from a fixed place, and what the address decides is which branches are taken. Measured where regions of
 * 20 instructions lead to each other through pointers: 39 ns a region by the jump cache.
 *
 * A link has the fields of an entry of the jump cache and is valid under the same conditions.
 */
import { assert } from '../../base/assert.ts';
import {
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_SHIFT,
  JUMP_CACHE_OFFSET,
  LINKS_OFFSET,
  MAX_LINKS,
  Vcpu,
} from '../../machine/vcpu.layout.ts';
import type { Code, Label } from '../../wasm/code.ts';
import { VCPU } from '../interp/shared.ts';

const SIZE = 1 << JUMP_CACHE_ENTRY_SHIFT;
/** Links of a way out with one target, and with several: a power of 2. */
export const DIRECT = 1;
export const INDIRECT = 8;
/** Links of a region at most; further ways out share them with the first, which does no harm. */
export const REGION_LINKS = 1024;

export class Links {
  private readonly c: Code;
  private readonly first: number;
  /** Which links a way out has: their offset in the vCPU's area and their bytes; 0 for none. */
  private readonly offset: number;
  private readonly bytes: number;
  private next = 0;
  /** How many there are. */
  used = 0;
  /** Most and fewest links of a way out. */
  private most = 0;
  private fewest = INDIRECT;

  /** `first` is the number of the region's first link, at most MAX_LINKS - REGION_LINKS. */
  constructor(c: Code, first: number) {
    assert(first >= 0 && first + REGION_LINKS <= MAX_LINKS, 'links of a region are in a row');
    this.c = c;
    this.first = first;
    this.offset = c.local('i32');
    this.bytes = c.local('i32');
  }

  /** Gives the way out that is being written links of its own: 0, DIRECT or INDIRECT. */
  take(count: number): void {
    this.most = Math.max(this.most, count);
    this.fewest = Math.min(this.fewest, count);
    if (this.next + count > REGION_LINKS) this.next = 0;
    this.c.i32(count === 0 ? 0 : LINKS_OFFSET + (this.first + this.next) * SIZE).set(this.offset);
    this.c.i32(count * SIZE).set(this.bytes);
    this.next += count;
    this.used = Math.max(this.used, this.next);
  }

  /**
   * Puts the record of the address in the local `rip` into the local `op`: by the links of the way out, else by the jump
   * cache, which `leave_if` leaves at if what is on the stack is not zero; the link is made then.
   */
  find(op: number, rip: number, fuel: number, leave_if: () => void): void {
    const { c } = this;
    const slot = c.local('i32');
    const found = c.block();
    if (this.most > 0) this.try_links(op, rip, slot, found);
    look_up(c, op, rip, slot, leave_if);
    if (this.most > 0) this.learn(op, rip, fuel, slot);
    c.end();
  }

  private try_links(op: number, rip: number, slot: number, found: Label): void {
    const { c } = this;
    const end = c.local('i32');
    const unknown = c.block();
    if (this.fewest === 0) c.get(this.bytes).op('i32.eqz').br_if(unknown);
    c.get(this.offset).get(VCPU).op('i32.add').tee(slot).get(this.bytes).op('i32.add').set(end);
    const again = this.most > 1 ? c.loop() : null;
    const differs = c.block();
    c.get(slot).op('i64.load').get(rip).op('i64.ne').br_if(differs);
    c.get(slot).op('i32.load', 12).get(VCPU).op('i32.load', Vcpu.code_tag.offset).op('i32.ne').br_if_unlikely(differs);
    c.get(slot).op('i32.load', 8).set(op).br(found).end();
    if (again !== null) c.get(slot).i32(SIZE).op('i32.add').tee(slot).get(end).op('i32.ne').br_if(again).end();
    c.end();
  }

  /** Makes one of the way out's links: which one, the fuel that is left decides, since it is different each time. */
  private learn(op: number, rip: number, fuel: number, slot: number): void {
    const { c } = this;
    if (this.fewest === 0) c.get(this.bytes).open_if();
    c.get(this.offset).get(VCPU).op('i32.add');
    if (this.most > 1) {
      c.get(fuel).i32(JUMP_CACHE_ENTRY_SHIFT).op('i32.shl');
      c.get(this.bytes).i32(SIZE).op('i32.sub').op('i32.and').op('i32.add');
    }
    c.tee(slot).get(rip).op('i64.store');
    c.get(slot).get(op).op('i32.store', 8);
    c.get(slot).get(VCPU).op('i32.load', Vcpu.code_tag.offset).op('i32.store', 12);
    if (this.fewest === 0) c.end();
  }
}

/** The record of the address in the local `rip`, by the jump cache; leaves without one. */
function look_up(c: Code, op: number, rip: number, slot: number, leave_if: () => void): void {
  c.get(rip).get(rip).i64(12).op('i64.shr_u').op('i64.xor').op('i32.wrap_i64');
  c.get(VCPU).op('i32.load', Vcpu.code_salt.offset).op('i32.xor');
  c.i32(JUMP_CACHE_ENTRIES - 1)
    .op('i32.and')
    .i32(JUMP_CACHE_ENTRY_SHIFT)
    .op('i32.shl');
  c.get(VCPU).op('i32.add').tee(slot).op('i64.load', JUMP_CACHE_OFFSET).get(rip).op('i64.ne');
  leave_if();
  c.get(slot)
    .op('i32.load', JUMP_CACHE_OFFSET + 12)
    .get(VCPU)
    .op('i32.load', Vcpu.code_tag.offset)
    .op('i32.ne');
  leave_if();
  c.get(slot)
    .op('i32.load', JUMP_CACHE_OFFSET + 8)
    .set(op);
}
