/** From the words of a program (prog/exec_format.ts) to the calls that the `program` platform makes. */
import { CallValue, type CopyIn, type CopyOut, type ProgramCall } from '../../engine/platform/program/calls.ts';
import { MAX_SLOTS } from '../../engine/platform/program/program.layout.ts';
import { CALL, CALL_ASYNC, CONST, COPY_IN, COPY_OUT, DATA, END, MAGIC, NO_SLOT, RESULT } from '../prog/exec_format.ts';

const MOST_ARGUMENTS = 6;
const NOTHING: never[] = [];

/** The calls of a program, in order. Throws an Error that says what is wrong where the words are not a program. */
export function prepare_calls(words: Uint32Array): ProgramCall[] {
  return new Reader(words).program();
}

/** A call under construction. */
interface OpenCall extends ProgramCall {
  copy_out: CopyOut[];
}

class Reader {
  private readonly words: Uint32Array;
  private next = 0;
  private slots = 0;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  program(): ProgramCall[] {
    if (this.word() !== MAGIC) throw new Error('not an encoded program');
    const count = this.word();
    this.slots = this.word();
    if (this.slots > MAX_SLOTS) throw new Error(`a program keeps at most ${MAX_SLOTS} results, not ${this.slots}`);
    const calls: ProgramCall[] = [];
    let copy_in: CopyIn[] = NOTHING;
    let open: OpenCall | null = null;
    for (let word = this.word(); word !== END; word = this.word()) {
      const instruction = word & 0xff;
      if (instruction === COPY_IN) {
        if (copy_in === NOTHING) copy_in = [];
        copy_in.push({ address: this.word(), value: this.memory() });
      } else if (instruction === CALL) {
        open = this.call(word, copy_in);
        calls.push(open);
        copy_in = NOTHING;
      } else if (instruction === COPY_OUT && open !== null) {
        if (open.copy_out === NOTHING) open.copy_out = [];
        open.copy_out.push({ address: this.word(), size: this.size(word), slot: this.slot() });
      } else throw new Error(`unknown instruction ${instruction} at word ${this.next - 1}`);
    }
    if (this.next !== this.words.length) throw new Error('words behind the end of the program');
    if (calls.length !== count) throw new Error(`the program has ${calls.length} calls, not ${count}`);
    return calls;
  }

  private call(word: number, copy_in: CopyIn[]): OpenCall {
    const number = this.word();
    const given = this.word();
    if (given !== NO_SLOT) this.check_slot(given);
    const fail_nth = this.word();
    const count = (word >>> 16) & 0xff;
    if (count > MOST_ARGUMENTS) throw new Error(`a call has at most ${MOST_ARGUMENTS} arguments, not ${count}`);
    const args: CallValue[] = count === 0 ? NOTHING : [];
    for (let i = 0; i < count; i++) args.push(this.number());
    const slot = given === NO_SLOT ? -1 : given;
    const is_async = ((word >>> 24) & CALL_ASYNC) !== 0;
    return { number, args, copy_in, copy_out: NOTHING, slot, is_async, fail_nth };
  }

  private memory(): Uint8Array | CallValue {
    const word = this.words[this.next] ?? 0;
    if ((word & 0xff) !== DATA) return this.number();
    this.next++;
    const length = word >>> 8;
    const at = this.next;
    this.next += Math.ceil(length / 4);
    if (this.next > this.words.length) throw new Error('the encoded program is cut off');
    return new Uint8Array(this.words.buffer, this.words.byteOffset + at * 4, length);
  }

  private number(): CallValue {
    const word = this.word();
    const size = this.size(word);
    const kind = word & 0xff;
    if (kind === CONST) return new CallValue(size, this.word(), this.word());
    if (kind !== RESULT) throw new Error(`unknown kind of value ${kind} at word ${this.next - 1}`);
    const slot = this.slot();
    return new CallValue(size, this.word(), this.word(), slot, this.u64(), this.u64());
  }

  private size(word: number): number {
    const size = (word >>> 8) & 0xff;
    if (size !== 1 && size !== 2 && size !== 4 && size !== 8) throw new Error(`a number of ${size} bytes`);
    return size;
  }

  private slot(): number {
    return this.check_slot(this.word());
  }

  private check_slot(slot: number): number {
    if (slot >= this.slots) throw new Error(`slot ${slot} of ${this.slots}`);
    return slot;
  }

  private u64(): bigint {
    const lo = this.word();
    const hi = this.word();
    return lo === 0 && hi === 0 ? 0n : (BigInt(hi) << 32n) | BigInt(lo);
  }

  private word(): number {
    if (this.next >= this.words.length) throw new Error('the encoded program is cut off');
    return this.words[this.next++] as number;
  }
}
