/**
 * What a call did, in words that do not depend on who ran it: numbers that differ from run to run (process numbers,
 * addresses that the kernel chose, times, inodes) are replaced or left out, as the descriptions say. Descriptors are
 * compared as they are.
 */

import { CLONE_PIDFD } from '../../engine/abi/clone.ts';
import { errno_name } from '../../engine/trace/names.ts';
import { pid } from '../desc/resources.ts';
import { align_up, alignment_of, fixed_size, resource_root, type Type } from '../desc/types.ts';
import type { MemoryRange } from '../exec/executor.ts';
import { type Arg, type Call, DATA_BASE, DATA_SIZE, type PointerArg, type Program } from '../prog/model.ts';
import { for_each_offset, size_of } from '../prog/size.ts';
import { for_each_node } from '../prog/walk.ts';

/** What a run says of one call. */
export interface RawCall {
  readonly finished: boolean;
  /** Value or -errno. */
  readonly result: number;
  /** The ranges of `captured_ranges`, as far as they could be read. */
  readonly memory: readonly Uint8Array[];
}

/** A field that the kernel may have written. */
export interface ObservedField {
  readonly name: string;
  readonly value: string;
}

export interface ObservedCall {
  /** 'does not end' where it did not. */
  readonly result: string;
  readonly fields: readonly ObservedField[];
}

export const DOES_NOT_END = 'does not end';

/** Longest memory of one pointer that is looked at. */
const LONGEST = 1 << 16;

/** Calls whose result has no meaning of its own in the descriptions. */
const RESULTS: ReadonlyMap<string, 'pid' | 'address' | 'amount' | 'bytes'> = new Map([
  ['mmap', 'address'],
  ['mremap', 'address'],
  ['wait4', 'pid'],
  ['fcntl$F_GETOWN', 'pid'],
  ['time', 'amount'],
  ['times', 'amount'],
  ['getdents', 'bytes'],
  ['getdents64', 'bytes'],
]);

/** The memory that each call of the program may write, to be read when it has ended. */
export function captured_ranges(program: Program): MemoryRange[][] {
  return program.calls.map((call) =>
    written_pointers(call).map(({ node, pointee }) => ({
      address: DATA_BASE + node.address,
      length: Math.min(size_of(pointee), LONGEST),
    })),
  );
}

interface WrittenPointer {
  readonly name: string;
  readonly node: PointerArg;
  readonly pointee: Arg;
}

function written_pointers(call: Call): WrittenPointer[] {
  const found: WrittenPointer[] = [];
  for (const [i, arg] of call.args.entries())
    for_each_node(arg, (node) => {
      if (node.kind !== 'pointer' || node.pointee === undefined || !is_written(node.pointee)) return;
      if (size_of(node.pointee) > 0) found.push({ name: call.description.args[i]!.name, node, pointee: node.pointee });
    });
  return found;
}

function is_written(node: Arg): boolean {
  if (node.kind === 'union') return is_written(node.inner);
  if (node.kind === 'group') return node.inner.some(is_written);
  return node.dir !== 'in';
}

/** Gives process numbers names in the order in which they appear. */
class Processes {
  private readonly names = new Map<number, string>();

  constructor(self: number) {
    this.names.set(self, 'self');
  }

  name(number: number): string {
    if (number <= 0) return String(number);
    let name = this.names.get(number);
    if (name === undefined) {
      name = `process ${this.names.size}`;
      this.names.set(number, name);
    }
    return name;
  }
}

/** All calls of a run by a process with number `self`. */
export function observe(program: Program, self: number, calls: readonly RawCall[]): ObservedCall[] {
  const processes = new Processes(self);
  return program.calls.map((call, i) => observe_call(call, calls[i]!, processes));
}

function observe_call(call: Call, { finished, result, memory }: RawCall, processes: Processes): ObservedCall {
  if (!finished) return { result: DOES_NOT_END, fields: [] };
  const observer = new FieldObserver(processes, makes_pidfd(call));
  const text = result_text(call, result, processes);
  for (const [i, { name, pointee }] of written_pointers(call).entries())
    observer.node(name, pointee, 0, memory[i] ?? new Uint8Array(0));
  return { result: text, fields: observer.fields };
}

/** clone(2) stores a pidfd where it would store the child's number. */
function makes_pidfd({ description, args }: Call): boolean {
  const flags = args[0];
  if (description.row.name !== 'clone' || flags?.kind !== 'number') return false;
  return (flags.value & BigInt(CLONE_PIDFD)) !== 0n;
}

function result_text({ description }: Call, result: number, processes: Processes): string {
  if (result < 0 && result >= -4095) return `-${errno_name(-result)}`;
  const is_pid = description.result !== undefined && resource_root(description.result) === pid;
  const meaning = is_pid ? 'pid' : (RESULTS.get(description.name) ?? RESULTS.get(description.row.name));
  if (meaning === 'pid') return processes.name(result);
  if (meaning === 'amount') return 'an amount';
  if (meaning === 'bytes') return result === 0 ? '0' : 'some bytes';
  const in_data_area = result >= DATA_BASE && result < DATA_BASE + DATA_SIZE;
  return meaning === 'address' && !in_data_area ? 'an address' : String(result);
}

class FieldObserver {
  readonly fields: ObservedField[] = [];
  private readonly processes: Processes;
  private readonly pidfd: boolean;

  /** `pidfd`: what is described as a process number is a descriptor. */
  constructor(processes: Processes, pidfd: boolean) {
    this.processes = processes;
    this.pidfd = pidfd;
  }

  /** The node's fields; `at` is its place in `bytes`. */
  node(name: string, node: Arg, at: number, bytes: Uint8Array): void {
    if (node.kind === 'union') this.node(name, node.inner, at, bytes);
    else if (node.kind === 'group') {
      let index = 0;
      for_each_offset(node, (child, offset) => {
        const field = node.type.kind === 'struct' ? `.${node.type.fields[index]!.name}` : '[]';
        index++;
        this.node(name + field, child, at + offset, bytes);
      });
    } else if (node.dir !== 'in') this.leaf(name, node.type, at, size_of(node), bytes);
  }

  private leaf(name: string, type: Type, at: number, size: number, bytes: Uint8Array): void {
    if (type.kind === 'buffer' && type.layout !== undefined) {
      this.layout(name, type.layout, at, bytes);
      return;
    }
    if ((type.kind === 'int' || type.kind === 'buffer') && type.varies !== undefined) return;
    const present = bytes.subarray(at, at + size);
    if (present.length < size) this.fields.push({ name, value: `${present.length} bytes that can be read` });
    else if (type.kind === 'resource' && resource_root(type.resource) === pid && !this.pidfd)
      this.fields.push({ name, value: this.processes.name(new DataView(present.slice().buffer).getInt32(0, true)) });
    else this.fields.push({ name, value: hex(present) });
  }

  /** Types alone, without nodes: what the kernel writes as a struct. */
  private layout(name: string, type: Type, at: number, bytes: Uint8Array): void {
    if (type.kind !== 'struct') {
      this.leaf(name, type, at, fixed_size(type)!, bytes);
      return;
    }
    let offset = 0;
    for (const field of type.fields) {
      offset = align_up(offset, alignment_of(field.type));
      this.layout(`${name}.${field.name}`, field.type, at + offset, bytes);
      offset += fixed_size(field.type)!;
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
