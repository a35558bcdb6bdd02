/**
 * Random guest programs with what plain random graphs lack: jumps and calls through a table, returns to where nobody
 * called, counted loops, code over page ends, accesses at page ends, string instructions, system calls, instructions of
 * the interpreter's, loads from code, and stores that change the program's own code. They never end by themselves.
 */
import { le32, pick, plain_instruction, type Random } from './random_graph.ts';

/** Where a program runs: all below 2^31. */
export interface Places {
  /** Its first byte. */
  readonly code: number;
  /** Eight addresses to jump to, on a page of their own. */
  readonly table: number;
  /** Two writable pages, with none around them. */
  readonly data: number;
  /** Stores into its code are among its instructions. */
  readonly rewrites: boolean;
}

export interface WildGraph {
  readonly bytes: readonly number[];
  /** What belongs into the table. */
  readonly targets: readonly number[];
}

/** Registers of indirect branches, which are masked first. */
const INDEX_REGISTERS = [0, 1, 2, 3];
const TABLE_SIZE = 8;
const STRING_OPCODES = [0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf];
const PAGE = 4096;

/** A part of the code that may be stored into. */
interface Spot {
  readonly at: number;
  /** An immediate of four bytes, a condition in an opcode, or the opcode of a register operation. */
  readonly kind: 'immediate' | 'condition' | 'operation';
}

class Wild {
  readonly code: number[] = [];
  private readonly starts: number[] = [];
  private readonly spots: Spot[] = [];
  /** Relative displacements and absolute addresses to be filled in with blocks, and addresses with spots. */
  private readonly relatives: { at: number; block: number }[] = [];
  private readonly absolutes: { at: number; block: number }[] = [];
  private readonly stores: { at: number; spot: number }[] = [];
  private readonly random: Random;
  private readonly places: Places;
  private readonly blocks: number;

  constructor(random: Random, blocks: number, places: Places) {
    this.random = random;
    this.places = places;
    this.blocks = blocks;
  }

  private chance(n: number): boolean {
    return this.random() % n === 0;
  }

  /** An address where things end: at the data pages' edges, or the page boundary between them. */
  private edge(): number {
    const { random } = this;
    return this.places.data + pick(random, [0, PAGE, PAGE, 2 * PAGE]) + (random() % 24) - 16;
  }

  private any_block(from: number): number {
    const near = from + (this.random() % 7) - 3;
    return this.chance(4) || near < 0 || near >= this.blocks ? this.random() % this.blocks : near;
  }

  private relative(opcode: readonly number[], from: number): void {
    this.code.push(...opcode, 0, 0, 0, 0);
    this.relatives.push({ at: this.code.length, block: this.any_block(from) });
  }

  /** A repeated string instruction somewhere in the data, seldom backwards. */
  private string(): void {
    const { code, random } = this;
    const back = this.chance(6);
    code.push(0xb9, ...le32(random() % (this.chance(4) ? 2500 : 60)));
    if (this.chance(2)) code.push(0xbf, ...le32(this.chance(3) ? this.edge() : this.places.data + (random() % 6000)));
    if (back) code.push(0xfd);
    if (this.chance(6)) code.push(0x67);
    code.push(pick(random, [0xf3, 0xf3, 0xf2]), ...(this.chance(3) ? [0x48] : []), pick(random, STRING_OPCODES));
    if (back) code.push(0xfc);
  }

  /** A store to a place in the code that is known when all is written. */
  private rewrite(): void {
    const { code, random } = this;
    // Mostly near, so that it will soon be run.
    const spot = this.chance(4) ? random() : Math.max(0, this.spots.length + (random() % 6) - 3);
    // mov byte [address], imm8 or mov [address], r32: which of them fits shows then; both take eight bytes.
    this.stores.push({ at: code.length, spot });
    code.push(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90);
  }

  private instruction(): void {
    const { code, random, places } = this;
    switch (random() % 18) {
      case 0:
        code.push(0xbe, ...le32(this.edge()));
        return;
      case 1:
        code.push(0xbe, ...le32(places.data + (random() % 8000)));
        return;
      case 2:
        if (this.chance(2)) this.string();
        return;
      case 3:
      case 16:
        // op r32, imm32
        code.push(0x81, 0xc0 | (random() & 0x38) | pick(random, [0, 1, 2, 3, 5, 7]));
        this.spots.push({ at: code.length, kind: 'immediate' });
        code.push(...le32(random() * 2));
        return;
      case 4:
      case 17:
        // op r64, r64
        code.push(0x48);
        this.spots.push({ at: code.length, kind: 'operation' });
        code.push(
          0x01 | (random() & 0x38),
          0xc0 | pick(random, [0, 1, 2, 3, 5, 7]) | (pick(random, [0, 1, 2, 3]) << 3),
        );
        return;
      case 5:
        if (places.rewrites) this.rewrite();
        return;
      case 6:
        // mov eax, [code]
        if (this.chance(2)) code.push(0x8b, 0x04, 0x25, ...le32(places.code + (random() % 200)));
        return;
      case 7:
        code.push(...pick(random, LEFT));
        return;
      case 9:
        if (this.chance(4)) code.push(0x0f, 0x05);
        return;
      case 8:
        // cmpxchg16b [rsi]
        if (this.chance(4)) code.push(0x48, 0x0f, 0xc7, 0x0e);
        return;
      default:
        code.push(...plain_instruction(random));
    }
  }

  private indirect(digit: number): void {
    const { code, random } = this;
    const register = pick(random, INDEX_REGISTERS);
    // and r32, 7; jmp or call [r * 8 + table]
    code.push(0x83, 0xe0 | register, TABLE_SIZE - 1);
    code.push(0xff, 0x04 | (digit << 3), 0xc5 | (register << 3), ...le32(this.places.table));
  }

  private end(block: number): void {
    const { code, random } = this;
    const kind = random() % 20;
    if (kind < 8 || block === this.blocks - 1) {
      code.push(0x0f);
      this.spots.push({ at: code.length, kind: 'condition' });
      this.relative([0x80 | (random() & 15)], block);
    }
    if (kind === 8) this.relative([0xe8], block);
    else if (kind === 9) code.push(0xc3);
    else if (kind === 10 || block === this.blocks - 1) this.relative([0xe9], block);
    else if (kind === 11 || kind === 12) this.indirect(4);
    else if (kind === 13) this.indirect(2);
    else if (kind === 14) {
      code.push(0x68, 0, 0, 0, 0, 0xc3);
      this.absolutes.push({ at: code.length - 5, block: random() % this.blocks });
    } else if (kind === 15) {
      // loop, loope, loopne or jrcxz to the block's own start
      const distance = (this.starts[block] as number) - (code.length + 2);
      if (distance >= -128) code.push(0xe0 | (random() & 3), distance & 0xff);
    } else if (kind === 16 && this.chance(4)) code.push(...pick(random, ENDS));
  }

  build(): WildGraph {
    const { code, random, places } = this;
    for (let block = 0; block < this.blocks; block++) {
      this.starts.push(code.length);
      for (let count = random() % 6; count > 0; count--) this.instruction();
      this.end(block);
    }
    const put = (at: number, bytes: readonly number[]): void => {
      for (const [i, byte] of bytes.entries()) code[at + i] = byte;
    };
    const start_of = (block: number): number => this.starts[block] as number;
    for (const { at, block } of this.relatives) put(at - 4, le32(start_of(block) - at));
    for (const { at, block } of this.absolutes) put(at, le32(places.code + start_of(block)));
    for (const { at, spot } of this.stores) put(at, this.store_to(this.spots[spot % this.spots.length] as Spot));
    const targets = Array.from({ length: TABLE_SIZE }, () => places.code + start_of(random() % this.blocks));
    return { bytes: code, targets };
  }

  private store_to({ at, kind }: Spot): number[] {
    const { random } = this;
    const address = le32(this.places.code + at);
    if (kind === 'immediate') return [0x89, 0x04 | ((random() & 3) << 3), 0x25, ...address, 0x90];
    const value = kind === 'condition' ? 0x80 | (random() & 15) : 0x01 | (random() & 0x38);
    return [0xc6, 0x04, 0x25, ...address, value];
  }
}

/** Instructions that regions leave to the interpreter, or end with. */
const LEFT: readonly (readonly number[])[] = [
  [0xd9, 0xe8, 0xdd, 0xd8], // fld1; fstp st0
  [0x9c, 0x9d], // pushf; popf
  [0x9f, 0x9e], // lahf; sahf
  [0x0f, 0xae, 0xe8], // lfence
  [0x0f, 0x31], // rdtsc
  [0x0f, 0xa2], // cpuid
  [0x66, 0x87, 0x06], // xchg [rsi], ax
];

/** Ends of blocks that raise exceptions. */
const ENDS: readonly (readonly number[])[] = [[0x0f, 0x0b], [0xcc], [0xf4]];

/** A program of `blocks` blocks, for its places. */
export function wild_graph(random: Random, blocks: number, places: Places): WildGraph {
  return new Wild(random, blocks, places).build();
}
