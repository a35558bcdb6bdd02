/** How a handler of translated code begins: whether it may go on here, and where. */
import { CpuState } from '../../machine/cpu.layout.ts';
import { REGION_TAGS_OFFSET, Vcpu } from '../../machine/vcpu.layout.ts';
import type { Code } from '../../wasm/code.ts';
import { CPU, FUEL, OP, VCPU } from '../interp/dispatch.ts';
import { RECORD_ENTRY, RECORD_POSITION } from '../interp/record.ts';
import type { Imports } from './imports.ts';
import { high_half, type Region } from './region.ts';

/** Pushes the number of the entry that a record stands for: what a dispatch leads to. */
export function push_entry(c: Code, op: number): void {
  c.get(op).op('i32.load8_u', RECORD_ENTRY).i32(1).op('i32.sub');
}

export class Prologue {
  private readonly c: Code;
  private readonly imports: Imports;
  /** The parameter of functions of the runtime that nobody looks at. */
  private readonly mark: number;
  private readonly region: Region;

  constructor(c: Code, imports: Imports, mark: number, region: Region) {
    this.c = c;
    this.imports = imports;
    this.mark = mark;
    this.region = region;
  }

  /** Looks whether the pages of region or unit `number` are in place, and leaves by `leave` if not. */
  look_at_pages(number: number, leave: () => void): void {
    const { c } = this;
    c.get(VCPU)
      .op('i32.load', REGION_TAGS_OFFSET + number * 4)
      .get(VCPU)
      .op('i32.load', Vcpu.code_tag.offset);
    c.op('i32.ne').if_unlikely();
    c.i32(number).get(VCPU).get(this.mark).call(this.imports.runtime('validate'));
    c.op('i32.eqz').open_if_unlikely();
    leave();
    c.end().end();
  }

  /** Puts the fuel at the entry's boundary into a local; the interpreter goes on where that is not more than `longest`. */
  take_fuel(fuel: number, longest: number): void {
    const { c } = this;
    c.get(FUEL).get(OP).op('i32.load8_u', RECORD_POSITION).op('i32.sub').tee(fuel);
    c.i32(longest).op('i32.le_s').open_if_unlikely();
    this.fall_back();
    c.end();
  }

  /** The interpreter goes on. */
  fall_back(): void {
    const { c } = this;
    // Regions that lead here leave the upper half of RIP as it is.
    c.get(CPU).i32(high_half(this.region.blocks[0]!.rip)).op('i32.store', CpuState.rip_hi.offset);
    c.get(OP).get(CPU).get(VCPU).get(FUEL).i32(0);
    c.get(this.mark).return_call(this.imports.runtime('original'));
  }

  /** The handler with the index `handler` goes on instead. */
  pass_on(handler: number): void {
    const { c } = this;
    c.get(OP).get(CPU).get(VCPU).get(FUEL).i32(handler);
    c.get(this.mark).return_call(this.imports.runtime('pass_on'));
  }
}
