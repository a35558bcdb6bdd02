/**
 * Programs as words: a tenth of the cost of their text. A worker leaves the program that it is about to run in shared
 * memory this way, so that whatever happens to the worker, the program is known; and it remembers the last few.
 *
 *     program   calls, { description, properties, [result], node... }
 *     number    low, high                             result   0, low, high | 1 + maker, low, high, divide, add
 *     data      size, bytes padded to whole words     pointer  tag, low, high | address, vma_size [, pointee]
 *     array     count, node...                        struct   node...              union   option, node
 *
 * Results are numbered in the order of the walk. Descriptions are numbered as in the target, which both sides share.
 */
import type { CallDescription } from '../desc/call.ts';
import type { Target } from '../desc/target.ts';
import type { Direction, Field, Type } from '../desc/types.ts';
import { ANY_ARRAY } from './any.ts';
import {
  type Arg,
  type Call,
  is_any,
  make_call,
  make_data,
  make_group,
  make_number,
  make_pointer,
  make_result,
  make_special,
  make_union,
  NO_USERS,
  type PointerArg,
  type Program,
  type ResultArg,
  refer,
} from './model.ts';

const SPECIAL = 0;
const EMPTY = 1;
const POINTEE = 2;
const ANY_POINTEE = 3;
const ASYNC = 0x8000_0000;

/** 64 bits and their halves. */
const wide = new BigUint64Array(1);
const halves = new Uint32Array(wide.buffer);

/** Packs programs of one target. */
export class Packer {
  private readonly numbers = new Map<CallDescription, number>();
  /** Numbers of the results that are used. */
  private readonly results = new Map<ResultArg, number>();
  private result_count = 0;
  private words = new Uint32Array(1024);
  private length = 0;

  constructor(target: Target) {
    for (const description of target.by_name.values()) this.numbers.set(description, this.numbers.size);
  }

  /** The words of a program: a view that is good until the next call. */
  pack(program: Program): Uint32Array {
    this.length = 0;
    if (this.results.size > 0) this.results.clear();
    this.result_count = 0;
    this.push(program.calls.length);
    for (const call of program.calls) this.call(call);
    return this.words.subarray(0, this.length);
  }

  private push(word: number): void {
    if (this.length === this.words.length) {
      const words = new Uint32Array(this.words.length * 2);
      words.set(this.words);
      this.words = words;
    }
    this.words[this.length++] = word;
  }

  private push_u64(value: bigint): void {
    wide[0] = value;
    this.push(halves[0]!);
    this.push(halves[1]!);
  }

  private call(call: Call): void {
    const number = this.numbers.get(call.description);
    if (number === undefined) throw new Error(`${call.description.name} is not a call of the target`);
    this.push(number);
    this.push(call.properties.fail_nth | (call.properties.async ? ASYNC : 0));
    if (call.result !== undefined) this.result(call.result);
    for (const arg of call.args) this.node(arg);
  }

  private result(node: ResultArg): void {
    const number = this.result_count++;
    if (node.users !== NO_USERS) this.results.set(node, number);
    const { source } = node;
    this.push(source === undefined ? 0 : 1 + this.results.get(source)!);
    this.push_u64(node.value);
    if (source === undefined) return;
    this.push_u64(node.divide);
    this.push_u64(node.add);
  }

  private node(node: Arg): void {
    switch (node.kind) {
      case 'number':
        this.push_u64(node.value);
        break;
      case 'result':
        this.result(node);
        break;
      case 'data':
        this.data(node.dir === 'out' ? node.out_size : node.bytes.length, node.bytes);
        break;
      case 'pointer':
        this.pointer(node);
        break;
      case 'union':
        this.push(node.option);
        this.node(node.inner);
        break;
      case 'group':
        if (node.type.kind === 'array') this.push(node.inner.length);
        for (const child of node.inner) this.node(child);
        break;
    }
  }

  private data(size: number, bytes: Uint8Array): void {
    this.push(size);
    for (let i = 0; i < bytes.length; i += 4)
      this.push(bytes[i]! | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24));
  }

  private pointer({ special, address, vma_size, pointee }: PointerArg): void {
    if (special !== undefined) {
      this.push(SPECIAL);
      this.push_u64(special);
      return;
    }
    this.push(pointee === undefined ? EMPTY : is_any(pointee) ? ANY_POINTEE : POINTEE);
    this.push(address);
    this.push(vma_size);
    if (pointee !== undefined) this.node(pointee);
  }
}

/** The program that `Packer` made words of. Throws an Error where they are not a program of the target. */
export function unpack(target: Target, words: Uint32Array): Program {
  return new Unpacker(target, words).program();
}

class Unpacker {
  private readonly descriptions: readonly CallDescription[];
  private readonly words: Uint32Array;
  private readonly results: ResultArg[] = [];
  private next = 0;

  constructor(target: Target, words: Uint32Array) {
    this.descriptions = [...target.by_name.values()];
    this.words = words;
  }

  program(): Program {
    const calls: Call[] = [];
    for (let left = this.word(); left > 0; left--) calls.push(this.call());
    return { calls };
  }

  private word(): number {
    const word = this.words[this.next++];
    if (word === undefined) throw new Error('the packed program is cut off');
    return word;
  }

  private u64(): bigint {
    halves[0] = this.word();
    halves[1] = this.word();
    return wide[0]!;
  }

  private call(): Call {
    const description = this.descriptions[this.word()];
    if (description === undefined) throw new Error('the packed program has an unknown call');
    const call = make_call(description);
    const properties = this.word();
    call.properties.async = (properties & ASYNC) !== 0;
    call.properties.fail_nth = properties & 0xffff;
    if (call.result !== undefined) this.fill(call.result);
    call.args.push(...this.fields(description.args, 'in'));
    return call;
  }

  private fields(fields: readonly Field[], dir: Direction): Arg[] {
    return fields.map((field) => this.node(field.type, field.dir ?? dir));
  }

  private fill(node: ResultArg): ResultArg {
    this.results.push(node);
    const maker = this.word();
    node.value = this.u64();
    if (maker === 0) return node;
    const source = this.results[maker - 1];
    if (source === undefined) throw new Error('the packed program uses a result before it is made');
    node.divide = this.u64();
    node.add = this.u64();
    refer(node, source);
    return node;
  }

  private node(type: Type, dir: Direction): Arg {
    switch (type.kind) {
      case 'resource':
        return this.fill(make_result(type, dir, 0n));
      case 'ptr':
      case 'vma':
        return this.pointer(type, dir);
      case 'buffer':
        return this.data(type, dir);
      case 'array': {
        const inner: Arg[] = [];
        for (let left = this.word(); left > 0; left--) inner.push(this.node(type.elem, dir));
        return make_group(type, dir, inner);
      }
      case 'struct':
        return make_group(type, dir, this.fields(type.fields, dir));
      case 'union': {
        const option = this.word();
        const field = type.fields[option];
        if (field === undefined) throw new Error('the packed program has an unknown option');
        return make_union(type, dir, option, this.node(field.type, field.dir ?? dir));
      }
      default:
        return make_number(type, dir, this.u64());
    }
  }

  private pointer(type: PointerArg['type'], dir: Direction): PointerArg {
    const tag = this.word();
    if (tag === SPECIAL) return make_special(type, dir, this.u64());
    const node = make_pointer(type, dir, this.word(), undefined);
    node.vma_size = this.word();
    if (tag === ANY_POINTEE) node.pointee = this.node(ANY_ARRAY, 'in');
    else if (tag === POINTEE && type.kind === 'ptr') node.pointee = this.node(type.elem, type.dir);
    return node;
  }

  private data(type: Extract<Type, { kind: 'buffer' }>, dir: Direction): Arg {
    const size = this.word();
    const bytes = new Uint8Array(size);
    if (dir === 'out') return make_data(type, dir, bytes);
    for (let i = 0; i < size; i += 4) {
      const word = this.word();
      for (let k = 0; k < 4 && i + k < size; k++) bytes[i + k] = (word >>> (8 * k)) & 0xff;
    }
    return make_data(type, dir, bytes);
  }
}
