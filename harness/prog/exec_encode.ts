/**
 * Turns a program into instructions (`exec_format.ts`). What a pointer leads to becomes one block of bytes, in which
 * only results are filled in as the program runs; blocks of a struct come before those that it points to.
 */
import { align_up, alignment_of, POINTER_SIZE } from '../desc/types.ts';
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
  type DataArg,
  NO_USERS,
  type NumberArg,
  type PointerArg,
  type Program,
  type ResultArg,
} from './model.ts';
import { is_big_endian } from './number.ts';
import { for_each_offset, is_tight, size_of } from './size.ts';
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
  const { calls } = program;
  for (let i = 0; i < calls.length; i++) encoder.call(calls[i]!);
  encoder.finish(calls.length);
  return options.view === true ? words.subarray(0, length) : words.slice(0, length);
}

/** The words of the program at hand. Typed, and kept: arrays of numbers grow and are copied, a third of the cost. */
let words = new Uint32Array(1024);
let bytes = new Uint8Array(words.buffer);
let length = 0;

/** Where results are that the program keeps. */
const slots = new Map<ResultArg, number>();

/** Numbers in the block at hand that are results: where they lie in `bytes`, and their nodes. */
const uses: { readonly at: number; readonly node: ResultArg }[] = [];

/** One number seen as 64 bits and as its halves: cheaper than arithmetic on 64 bits. */
const wide = new BigUint64Array(1);
const halves = new Uint32Array(wide.buffer);

/** Makes room for `count` words more. */
function reserve(count: number): void {
  if (length + count <= words.length) return;
  const larger = new Uint32Array(Math.max(words.length * 2, length + count));
  larger.set(words);
  words = larger;
  bytes = new Uint8Array(words.buffer);
}

function push(word: number): void {
  if (length === words.length) reserve(1);
  words[length++] = word;
}

function push_u64(value: bigint): void {
  wide[0] = value;
  push(halves[0]!);
  push(halves[1]!);
}

/** Walks are methods and not callbacks: a closure for each node visited was a third of the cost of encoding. */
class Encoder {
  private readonly process: number;
  private readonly fill_outputs: boolean;
  /** Whether the call at hand writes results to memory that are used. */
  private makes_results = false;

  constructor(process: number, fill_outputs: boolean) {
    this.process = process;
    this.fill_outputs = fill_outputs;
    if (slots.size > 0) slots.clear();
    length = 0;
    push(MAGIC);
    push(0);
    push(0);
  }

  finish(calls: number): void {
    push(END);
    words[1] = calls;
    words[2] = slots.size;
  }

  call({ properties, description, result, args }: Call): void {
    this.makes_results = false;
    for (let i = 0; i < args.length; i++) this.pointees(args[i]!);
    const flags = properties.async ? CALL_ASYNC : 0;
    const slot = result === undefined ? NO_SLOT : this.slot(result);
    push(CALL | (args.length << 16) | (flags << 24));
    push(description.row.number);
    push(slot);
    push(properties.fail_nth);
    for (let i = 0; i < args.length; i++) this.argument(args[i]!);
    if (this.makes_results) for (let i = 0; i < args.length; i++) this.results_of(args[i]!);
  }

  /** What the pointers at the node and below lead to. */
  private pointees(node: Arg): void {
    if (node.kind === 'pointer') {
      if (node.dir !== 'out' || this.fill_outputs) this.pointee(node);
      if (node.pointee !== undefined) this.pointees(node.pointee);
    } else if (node.kind === 'group') {
      const { inner } = node;
      for (let i = 0; i < inner.length; i++) this.pointees(inner[i]!);
    } else if (node.kind === 'union') this.pointees(node.inner);
    else if (node.kind === 'result' && is_used(node)) this.makes_results = true;
  }

  /** Where a result will be, if anything uses it. */
  private slot(node: ResultArg): number {
    if (!is_used(node)) return NO_SLOT;
    const slot = slots.get(node) ?? slots.size;
    slots.set(node, slot);
    return slot;
  }

  /** A value in a register: all 64 bits, in host order, whatever the size in memory. */
  private argument(node: Arg): void {
    if (node.kind === 'result') this.result(node, 8);
    else if (node.kind === 'union') this.argument(node.inner);
    else {
      push(CONST | (8 << 8));
      if (node.kind === 'number') push_u64(this.value_of(node));
      else if (node.kind !== 'pointer') throw new Error(`a ${node.kind} does not fit a register`);
      else if (node.special !== undefined) push_u64(node.special);
      else {
        push(DATA_BASE + node.address);
        push(0);
      }
    }
  }

  private result(node: ResultArg, size: number): void {
    if (node.source === undefined) {
      push(CONST | (size << 8));
      push_u64(node.value);
      return;
    }
    const slot = slots.get(node.source);
    if (slot === undefined) throw new Error('a result is used before it is made');
    const { value, divide, add } = node;
    push(RESULT | (size << 8));
    push(slot);
    push_u64(value);
    push_u64(divide);
    push_u64(add);
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
    const count = Math.ceil(size / 4);
    reserve(count + 3);
    push(COPY_IN);
    push(base);
    push(DATA | (size << 8));
    const start = length * 4;
    words.fill(0, length, length + count);
    length += count;
    if (this.fill_outputs) fill_outputs(pointee, bytes.subarray(start, start + size));
    uses.length = 0;
    this.block(pointee, start);
    for (const { at, node } of uses) {
      push(COPY_IN);
      push(base + at - start);
      this.result(node, node.type.resource.size);
    }
  }

  /** Stores the leaves of what lies at `at` in `bytes`. */
  private block(node: Arg, at: number): void {
    if (node.kind === 'group') {
      const { inner } = node;
      const tight = is_tight(node);
      let end = at;
      for (let i = 0; i < inner.length; i++) {
        const child = inner[i]!;
        if (!tight) end = at + align_up(end - at, alignment_of(child.type));
        this.block(child, end);
        end += size_of(child);
      }
    } else if (node.kind === 'union') this.block(node.inner, at);
    else if (node.dir !== 'out') this.leaf(node, at);
  }

  private leaf(node: NumberArg | ResultArg | PointerArg | DataArg, at: number): void {
    if (node.kind === 'number') store(at, node.type.size, this.value_of(node), is_big_endian(node.type));
    else if (node.kind === 'data') bytes.set(node.bytes, at);
    else if (node.kind === 'pointer') store(at, POINTER_SIZE, address_of(node), false);
    else if (node.source === undefined) store(at, node.type.resource.size, node.value, false);
    else uses.push({ at, node });
  }

  /** Numbers that the kernel has written and that are used later. */
  private results_of(arg: Arg): void {
    for_each_node(arg, (pointer) => {
      if (pointer.kind !== 'pointer' || pointer.pointee === undefined) return;
      for_each_leaf(pointer.pointee, 0, (node, offset) => {
        if (node.kind !== 'result' || !is_used(node)) return;
        const size = node.type.resource.size;
        push(COPY_OUT | (size << 8));
        push(DATA_BASE + pointer.address + offset);
        push(this.slot(node));
      });
    });
  }
}

function is_used({ users }: ResultArg): boolean {
  return users !== NO_USERS && users.size > 0;
}

/** Puts a number into `bytes`. */
function store(at: number, size: number, value: bigint, swapped: boolean): void {
  wide[0] = value;
  const low = halves[0]!;
  const high = halves[1]!;
  for (let i = 0; i < size; i++) {
    const byte = i < 4 ? low >>> (8 * i) : high >>> (8 * (i - 4));
    bytes[at + (swapped ? size - 1 - i : i)] = byte;
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
  if (node.kind !== 'group') return node.dir === 'out';
  const { inner } = node;
  for (let i = 0; i < inner.length; i++) if (!is_written_by_kernel(inner[i]!)) return false;
  return true;
}

/** Calls `visit` for each node below that has bytes of its own, with its offset. Does not follow pointers. */
export function for_each_leaf(node: Arg, offset: number, visit: (node: Arg, offset: number) => void): void {
  if (node.kind === 'union') for_each_leaf(node.inner, offset, visit);
  else if (node.kind === 'group') for_each_offset(node, (child, at) => for_each_leaf(child, offset + at, visit));
  else visit(node, offset);
}
