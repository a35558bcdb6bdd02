/** Places of translated code: numbers, each with an index in the table of handlers. */
import { assert } from '../../base/assert.ts';
import { MAX_HANDLERS, MAX_REGIONS } from '../../machine/vcpu.layout.ts';

export class Places {
  private readonly table: WebAssembly.Table;
  private readonly free: number[] = [];
  /** Index of number 0. */
  readonly first_handler: number;

  constructor(table: WebAssembly.Table) {
    this.table = table;
    this.first_handler = table.length;
    assert(this.first_handler + MAX_REGIONS <= MAX_HANDLERS, 'every handler has a slot');
  }

  /** All there are, free ones too. */
  get size(): number {
    return this.table.length - this.first_handler;
  }

  /** Whether there are so many more. */
  has_room(count: number): boolean {
    return this.size - this.free.length + count <= MAX_REGIONS;
  }

  /** A number below MAX_REGIONS that nobody has. */
  take(): number {
    const number = this.free.pop();
    if (number !== undefined) return number;
    assert(this.size < MAX_REGIONS, 'there is a place');
    return this.table.grow(1) - this.first_handler;
  }

  release(number: number): void {
    // Code that is running keeps itself alive.
    this.put(number, null);
    this.free.push(number);
  }

  handler_of(number: number): number {
    return this.first_handler + number;
  }

  /** Lets a function, or nothing, be the handler. */
  put(number: number, f: unknown): void {
    this.table.set(this.first_handler + number, f);
  }
}
