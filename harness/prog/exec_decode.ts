/** Reads encoded programs back, for dumps and tests. The platform interprets the words themselves. */
import { CALL, CALL_ASYNC, CONST, COPY_IN, COPY_OUT, DATA, END, MAGIC, RESULT } from './exec_format.ts';

export type ExecValue =
  | { readonly kind: 'const'; readonly size: number; readonly value: bigint }
  | {
      readonly kind: 'result';
      readonly size: number;
      readonly slot: number;
      readonly value: bigint;
      readonly divide: bigint;
      readonly add: bigint;
    }
  | { readonly kind: 'data'; readonly bytes: Uint8Array };

export type ExecInstruction =
  | { readonly kind: 'copy_in'; readonly address: number; readonly value: ExecValue }
  | {
      readonly kind: 'call';
      readonly number: number;
      readonly slot: number;
      readonly fail_nth: number;
      readonly is_async: boolean;
      readonly args: readonly ExecValue[];
    }
  | { readonly kind: 'copy_out'; readonly address: number; readonly size: number; readonly slot: number };

export interface ExecProgram {
  readonly calls: number;
  readonly slots: number;
  readonly instructions: readonly ExecInstruction[];
}

/** The instructions of an encoded program. Throws an Error where the words are not one. */
export function exec_decode(words: Uint32Array): ExecProgram {
  const reader = new Reader(words);
  if (reader.word() !== MAGIC) throw new Error('not an encoded program');
  const calls = reader.word();
  const slots = reader.word();
  const instructions: ExecInstruction[] = [];
  for (let word = reader.word(); word !== END; word = reader.word()) instructions.push(instruction(reader, word));
  if (!reader.at_end()) throw new Error('words behind the end of the program');
  return { calls, slots, instructions };
}

function instruction(reader: Reader, word: number): ExecInstruction {
  switch (word & 0xff) {
    case COPY_IN: {
      const address = reader.word();
      return { kind: 'copy_in', address, value: value(reader) };
    }
    case COPY_OUT: {
      const address = reader.word();
      return { kind: 'copy_out', address, size: (word >>> 8) & 0xff, slot: reader.word() };
    }
    case CALL: {
      const [number, slot, fail_nth] = [reader.word(), reader.word(), reader.word()];
      const args = Array.from({ length: (word >>> 16) & 0xff }, () => value(reader));
      return { kind: 'call', number, slot, fail_nth, is_async: ((word >>> 24) & CALL_ASYNC) !== 0, args };
    }
    default:
      throw new Error(`unknown instruction ${word & 0xff}`);
  }
}

function value(reader: Reader): ExecValue {
  const word = reader.word();
  const size = (word >>> 8) & 0xff;
  switch (word & 0xff) {
    case CONST:
      return { kind: 'const', size, value: reader.u64() };
    case RESULT: {
      const slot = reader.word();
      return { kind: 'result', size, slot, value: reader.u64(), divide: reader.u64(), add: reader.u64() };
    }
    case DATA:
      return { kind: 'data', bytes: reader.bytes(word >>> 8) };
    default:
      throw new Error(`unknown kind of value ${word & 0xff}`);
  }
}

class Reader {
  private readonly words: Uint32Array;
  private next = 0;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  at_end(): boolean {
    return this.next === this.words.length;
  }

  word(): number {
    const word = this.words[this.next++];
    if (word === undefined) throw new Error('the encoded program is cut off');
    return word;
  }

  u64(): bigint {
    return BigInt(this.word()) | (BigInt(this.word()) << 32n);
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let word = 0;
    for (let i = 0; i < length; i++) {
      if (i % 4 === 0) word = this.word();
      bytes[i] = (word >>> (8 * (i % 4))) & 0xff;
    }
    return bytes;
  }
}
