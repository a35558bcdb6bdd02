/**
 * Turns a program into instructions (`exec_format.ts`). What a pointer leads to becomes one block of bytes, in which
 * only results are filled in as the program runs; blocks of a struct come before those that it points to.
 */
import { POINTER_SIZE } from '../desc/types.ts';
import {
  CALL,
  CALL_ASYNC,
  CONST,
  COPY_IN,
  COPY_OUT,
  DATA,
  END,
  MAGIC,
  MAX_DATA_LENGTH,
  NO_SLOT,
  RESULT,
} from './exec_format.ts';
import {
  type Arg,
  type Call,
  DATA_BASE,
  type NumberArg,
  type PointerArg,
  type Program,
  type ResultArg,
} from './model.ts';
import { is_big_endian } from './number.ts';
import { for_each_offset, size_of } from './size.ts';
import { for_each_node } from './walk.ts';

export interface EncodeOptions {
  /** Which process of a campaign runs the program, from 0: numbers of proc types depend on it. */
  readonly process?: number;
  /** Fill what the kernel writes, before each call, with OUTPUT_FILL: so what it did not write can be told. */
  readonly fill_outputs?: boolean;
  /** Answer a view that is good until the next call, instead of a copy. */
  readonly view?: boolean;
}

/** What memory holds where the kernel did not write. */
export const OUTPUT_FILL = 0xaa;

/** The instructions of a valid program. */
export function exec_encode(program: Program, options: EncodeOptions = {}): Uint32Array {
  const encoder = new Encoder(options.process ?? 0, options.fill_outputs ?? false);
  for (const call of program.calls) encoder.call(call);
  encoder.finish(program.calls.length);
  return options.view === true ? words.subarray(0, length) : words.slice(0, length);
}

/** The words of the program at hand. Typed, and kept: arrays of numbers grow and are copied, a third of the cost. */
let words = new Uint32Array(1024);
let length = 0;

/** One number seen as 64 bits and as its halves: cheaper than arithmetic on 64 bits. */
const wide = new BigUint64Array(1);
const halves = new Uint32Array(wide.buffer);

function push(word: number): void {
  if (length === words.length) {
    const larger = new Uint32Array(words.length * 2);
    larger.set(words);
    words = larger;
  }
  words[length++] = word;
}

class Encoder {
  private readonly process: number;
  private readonly fill_outputs: boolean;
  private readonly slots = new Map<ResultArg, number>();

  constructor(process: number, fill_outputs: boolean) {
    this.process = process;
    this.fill_outputs = fill_outputs;
    length = 0;
    push(MAGIC);
    push(0);
    push(0);
  }

  finish(calls: number): void {
    push(END);
    words[1] = calls;
    words[2] = this.slots.size;
  }

  call(call: Call): void {
    const { properties, description, result, args } = call;
    for (const arg of args) for_each_node(arg, this.pointees);
    const flags = properties.async ? CALL_ASYNC : 0;
    const slot = result === undefined ? NO_SLOT : this.slot(result);
    push(CALL | (args.length << 16) | (flags << 24));
    push(description.row.number);
    push(slot);
    push(properties.fail_nth);
    for (const arg of args) this.argument(arg);
    for (const arg of args) this.results_of(arg);
  }

  private readonly pointees = (node: Arg): void => {
    if (node.kind === 'pointer' && (node.dir !== 'out' || this.fill_outputs)) this.pointee(node);
  };

  /** Where a result will be, if anything uses it. */
  private slot(node: ResultArg): number {
    if (node.users.size === 0) return NO_SLOT;
    const slot = this.slots.get(node) ?? this.slots.size;
    this.slots.set(node, slot);
    return slot;
  }

  /** A value in a register: all 64 bits, in host order, whatever the size in memory. */
  private argument(node: Arg): void {
    if (node.kind === 'number') this.constant(this.value_of(node));
    else if (node.kind === 'pointer') this.constant(address_of(node));
    else if (node.kind === 'result') this.result(node, 8);
    else if (node.kind === 'union') this.argument(node.inner);
    else throw new Error(`a ${node.kind} does not fit a register`);
  }

  private push_u64(value: bigint): void {
    wide[0] = value;
    push(halves[0]!);
    push(halves[1]!);
  }

  private constant(value: bigint): void {
    push(CONST | (8 << 8));
    this.push_u64(value);
  }

  private result(node: ResultArg, size: number): void {
    if (node.source === undefined) {
      push(CONST | (size << 8));
      this.push_u64(node.value);
      return;
    }
    const slot = this.slots.get(node.source);
    if (slot === undefined) throw new Error('a result is used before it is made');
    const { value, divide, add } = node;
    push(RESULT | (size << 8));
    push(slot);
    this.push_u64(value);
    this.push_u64(divide);
    this.push_u64(add);
  }

  private value_of({ type, value }: NumberArg): bigint {
    if (type.kind !== 'proc') return value;
    return BigInt.asUintN(64, type.start + BigInt(this.process * type.per_proc) + value);
  }

  /** One block for what lies at the pointer, then the results in it. */
  private pointee(pointer: PointerArg): void {
    const { pointee } = pointer;
    if (pointee === undefined || (!this.fill_outputs && is_written_by_kernel(pointee))) return;
    const size = size_of(pointee);
    if (size === 0) return;
    if (size > MAX_DATA_LENGTH) throw new Error(`a pointee of ${size} bytes is too long`);
    const base = DATA_BASE + pointer.address;
    const bytes = new Uint8Array(size);
    if (this.fill_outputs) fill_outputs(pointee, bytes);
    const results: [number, ResultArg][] = [];
    for_each_leaf(pointee, 0, (node, offset) => {
      if (node.dir === 'out') return;
      if (node.kind === 'result' && node.source !== undefined) results.push([offset, node]);
      else this.store(node, bytes, offset);
    });
    push(COPY_IN);
    push(base);
    push(DATA | (size << 8));
    for (let i = 0; i < size; i += 4)
      push((bytes[i]! | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24)) >>> 0);
    for (const [offset, node] of results) {
      push(COPY_IN);
      push(base + offset);
      this.result(node, node.type.resource.size);
    }
  }

  /** Puts the bytes of a leaf where they belong. */
  private store(node: Arg, bytes: Uint8Array, offset: number): void {
    switch (node.kind) {
      case 'number':
        this.store_number(bytes, offset, node.type.size, this.value_of(node), is_big_endian(node.type));
        break;
      case 'result':
        this.store_number(bytes, offset, node.type.resource.size, node.value, false);
        break;
      case 'pointer':
        this.store_number(bytes, offset, POINTER_SIZE, address_of(node), false);
        break;
      case 'data':
        bytes.set(node.bytes, offset);
        break;
    }
  }

  private store_number(bytes: Uint8Array, offset: number, size: number, value: bigint, swapped: boolean): void {
    wide[0] = value;
    const low = halves[0]!;
    const high = halves[1]!;
    for (let i = 0; i < size; i++) {
      const byte = i < 4 ? low >>> (8 * i) : high >>> (8 * (i - 4));
      bytes[offset + (swapped ? size - 1 - i : i)] = byte;
    }
  }

  /** Numbers that the kernel has written and that are used later. */
  private results_of(arg: Arg): void {
    for_each_node(arg, (pointer) => {
      if (pointer.kind !== 'pointer' || pointer.pointee === undefined) return;
      for_each_leaf(pointer.pointee, 0, (node, offset) => {
        if (node.kind !== 'result' || node.users.size === 0) return;
        const size = node.type.resource.size;
        push(COPY_OUT | (size << 8));
        push(DATA_BASE + pointer.address + offset);
        push(this.slot(node));
      });
    });
  }
}

/** Fills the bytes of leaves that the kernel writes; padding stays zero. */
function fill_outputs(pointee: Arg, bytes: Uint8Array): void {
  for_each_leaf(pointee, 0, (node, offset) => {
    if (node.dir === 'out') bytes.fill(OUTPUT_FILL, offset, offset + size_of(node));
  });
}

/** The guest address that a pointer holds. */
function address_of(node: PointerArg): bigint {
  return node.special ?? BigInt(DATA_BASE + node.address);
}

/** True when nothing below has a value of the program's. */
function is_written_by_kernel(node: Arg): boolean {
  if (node.kind === 'union') return is_written_by_kernel(node.inner);
  return node.kind === 'group' ? node.inner.every(is_written_by_kernel) : node.dir === 'out';
}

/** Calls `visit` for each node below that has bytes of its own, with its offset. Does not follow pointers. */
export function for_each_leaf(node: Arg, offset: number, visit: (node: Arg, offset: number) => void): void {
  if (node.kind === 'union') for_each_leaf(node.inner, offset, visit);
  else if (node.kind === 'group') for_each_offset(node, (child, at) => for_each_leaf(child, offset + at, visit));
  else visit(node, offset);
}
