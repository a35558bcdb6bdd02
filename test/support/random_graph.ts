/**
 * Random guest programs for comparing platforms: a graph of blocks with loops, calls, faults and exceptions, which never
 * ends by itself.
 */
export type Random = () => number;

/** Condition codes, sizes and registers come at random; rsp and the pointer in rsi move seldom. */
const REGISTERS = [0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const RSI = 6;
const ALU = [0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38];
const JCC = 0x0f80;

/** One of a list. */
export function pick<T>(random: Random, list: readonly T[]): T {
  return list[random() % list.length] as T;
}

/** Prefixes and an opcode for a size of 1, 2, 4 or 8 bytes: an even opcode is the byte form. */
function encode(size: number, opcode: readonly number[], reg: number, rm: number, memory: number | null): number[] {
  const last = opcode.length - 1;
  const sized = opcode.map((byte, i) => (i === last && size > 1 ? byte | 1 : byte));
  const rex = 0x40 | (size === 8 ? 8 : 0) | ((reg >> 3) << 2) | (rm >> 3);
  const modrm = ((memory === null ? 3 : 1) << 6) | ((reg & 7) << 3) | (rm & 7);
  return [...(size === 2 ? [0x66] : []), rex, ...sized, modrm, ...(memory === null ? [] : [memory & 0xff])];
}

/** A number as four bytes. */
export function le32(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
}

function sse(random: Random): number[] {
  const [prefix, opcode] = pick(random, [
    [0x66, 0xfe],
    [0x66, 0xef],
    [0xf2, 0x58],
    [0xf2, 0x59],
    [0x66, 0x6f],
    [0xf3, 0x10],
    [0xf2, 0x10],
    [0x66, 0x2e],
  ] as const);
  const memory = random() % 3 === 0;
  const modrm = ((memory ? 1 : 3) << 6) | ((random() & 7) << 3) | (memory ? RSI : random() & 7);
  return [prefix, 0x0f, opcode, modrm, ...(memory ? [(random() & 7) * 16] : [])];
}

/** One instruction that is no branch. */
export function plain_instruction(random: Random): number[] {
  const size = pick(random, [1, 2, 4, 4, 4, 8, 8]);
  const wide = Math.max(size, 2);
  const a = pick(random, REGISTERS);
  const b = pick(random, REGISTERS);
  const at = random() & 0x7f;
  switch (random() % 22) {
    case 0:
    case 1:
    case 2:
      return encode(size, [pick(random, ALU)], a, b, null);
    case 3:
    case 4:
      return encode(size, [pick(random, ALU) | 2], a, RSI, at);
    case 5:
      return encode(size, [pick(random, ALU)], a, RSI, at);
    case 6:
      return encode(size, [0x88], a, RSI, at);
    case 7:
      return encode(size, [0x8a], a, RSI, at);
    case 8:
      return [...encode(size, [0xc0], pick(random, [0, 1, 2, 3, 4, 5, 7]), a, null), random() & 0x3f];
    case 9:
      return encode(size, [0xd2], pick(random, [0, 1, 2, 3, 4, 5, 7]), a, null);
    case 10:
      return encode(size, [0xfe], random() & 1, a, null);
    case 11:
      return encode(wide, [0x0f, 0xaf], a, b, null);
    case 12:
      return encode(1, [0x0f, 0x90 | (random() & 15)], 0, a, null);
    case 13:
      return encode(wide, [0x0f, 0x40 | (random() & 15)], a, b, null).map((byte, i, all) =>
        i === all.length - 2 ? 0x40 | (random() & 15) : byte,
      );
    case 14:
      return [0x50 | (random() & 3), 0x58 | (random() & 3)];
    case 15:
      return random() % 4 === 0 ? [0x48, 0x8d, 0xb6, ...le32((random() % 5000) - 2000)] : encode(8, [0x84], a, b, null);
    case 16:
      return encode(size, [0xf6], pick(random, [2, 3, 4, 5, 6, 7]), a, null);
    case 17:
      return encode(wide, [0x0f, pick(random, [0xa3, 0xab, 0xb3, 0xbb])], a, b, null);
    case 18:
      return encode(wide, [0x0f, pick(random, [0xbd, 0xb6, 0xbe])], a, b, null);
    case 19:
    case 20:
      return sse(random);
    default:
      return [0xf0, ...encode(size, [pick(random, [0x00, 0x28, 0x30])], a, RSI, at)];
  }
}

/** Where a branch must be given its target. */
interface Fixup {
  readonly at: number;
  readonly block: number;
}

/** Code of `blocks` blocks, each of fewer than `longest` instructions and a branch, that branch to each other. */
export function random_graph(random: Random, blocks: number, longest = 6): number[] {
  const code: number[] = [];
  const starts: number[] = [];
  const fixups: Fixup[] = [];
  const branch = (opcode: readonly number[], from: number): void => {
    code.push(...opcode, 0, 0, 0, 0);
    // Mostly near, so that there are loops within loops.
    const near = from + (random() % 7) - 3;
    fixups.push({
      at: code.length,
      block: random() % 4 === 0 || near < 0 || near >= blocks ? random() % blocks : near,
    });
  };
  for (let block = 0; block < blocks; block++) {
    starts.push(code.length);
    const count = random() % longest;
    for (let i = 0; i < count; i++) code.push(...plain_instruction(random));
    const end = random() % 12;
    if (end < 7 || block === blocks - 1) branch([JCC >> 8, (JCC & 0xff) | (random() & 15)], block);
    if (end === 7) branch([0xe8], block);
    else if (end === 8) code.push(0xc3);
    else if (end === 9 || block === blocks - 1) branch([0xe9], block);
  }
  for (const { at, block } of fixups) {
    const distance = le32((starts[block] as number) - at);
    for (let i = 0; i < 4; i++) code[at - 4 + i] = distance[i] as number;
  }
  return code;
}
