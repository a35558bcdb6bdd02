/**
 * Reads the text of a program (`print.ts` has the grammar). Lines that are empty or start with '#' are skipped.
 * Arguments and fields that are missing at the end have default values, so that texts of other descriptions can be
 * pasted and completed; everything else that does not fit the descriptions is an error with its place.
 */
import type { CallDescription } from '../desc/call.ts';
import type { Target } from '../desc/target.ts';
import type {
  BufferType,
  Direction,
  Field,
  NumberType,
  PtrType,
  ResourceType,
  StructType,
  Type,
  UnionType,
  VmaType,
} from '../desc/types.ts';
import { fixed_size, resource_root } from '../desc/types.ts';
import { ANY_ARRAY, is_any_resource } from './any.ts';
import {
  type Arg,
  type Call,
  DATA_SIZE,
  default_arg,
  MAX_FAIL_NTH,
  make_call,
  make_data,
  make_group,
  make_number,
  make_pointer,
  make_result,
  make_special,
  make_union,
  make_use,
  make_vma,
  PAGE_SIZE,
  type Program,
  type ResultArg,
} from './model.ts';
import { allowed, allowed_bytes } from './number.ts';
import { TEXT_BASE } from './print.ts';
import { Scanner } from './scanner.ts';
import { size_of } from './size.ts';

/** Squashed memory may hold pointers to more of it: no program needs this many. */
const MAX_DEPTH = 100;

/** Parses a program. Throws a ParseError. */
export function parse_program(target: Target, text: string): Program {
  const results = new Map<string, ResultArg>();
  const calls: Call[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const scanner: Scanner = new Scanner(line, i + 1);
    const last = calls.at(-1)?.description;
    if (last?.traits.terminal) scanner.fail(`${last.name} ends the program: no call can follow it`);
    calls.push(new CallParser(target, scanner, results).parse());
  }
  return { calls };
}

class CallParser {
  private readonly target: Target;
  private readonly scanner: Scanner;
  /** Results of the calls before this one. */
  private readonly results: Map<string, ResultArg>;
  /** Results of this call: it cannot use them itself. */
  private readonly made = new Map<string, ResultArg>();

  private depth = 0;

  constructor(target: Target, scanner: Scanner, results: Map<string, ResultArg>) {
    this.target = target;
    this.scanner = scanner;
    this.results = results;
  }

  parse(): Call {
    const scanner: Scanner = this.scanner;
    const start = scanner.column;
    const name = scanner.result_name();
    if (name !== undefined) scanner.expect('=');
    const call = make_call(this.description());
    if (name !== undefined) {
      if (call.result === undefined)
        scanner.fail(`${call.description.name} makes nothing that could be called ${name}`, start);
      this.define(name, call.result, start);
    }
    scanner.expect('(');
    call.args.push(...this.fields(call.description.args, 'in', ')', call.description.name));
    if (scanner.accept('(')) this.properties(call);
    if (!scanner.at_end()) scanner.fail(`expected the end of the call, found ${scanner.found()}`);
    for (const [made, node] of this.made) this.results.set(made, node);
    return call;
  }

  private description(): CallDescription {
    const start = this.scanner.column;
    const name = this.scanner.word('the name of a system call');
    const found = this.target.by_name.get(name);
    return found ?? this.scanner.fail(`no system call is described as '${name}'${this.variants(name)}`, start);
  }

  /** The names that another variant of the call could have meant. */
  private variants(name: string): string {
    const base = name.replace(/\$.*/, '');
    const known = [...this.target.by_name.keys()].filter((other) => other.replace(/\$.*/, '') === base);
    return known.length === 0 ? '' : `: known are ${known.join(', ')}`;
  }

  private properties(call: Call): void {
    const scanner: Scanner = this.scanner;
    do {
      const start = scanner.column;
      const name = scanner.word('a property of the call');
      if (name === 'async') call.properties.async = true;
      else if (name === 'fail_nth') {
        scanner.expect(':');
        const count = Number(scanner.number('a count'));
        if (count > MAX_FAIL_NTH) scanner.fail(`fail_nth is at most ${MAX_FAIL_NTH}`, start);
        call.properties.fail_nth = count;
      } else scanner.fail(`unknown property '${name}': async and fail_nth are known`, start);
    } while (scanner.accept(','));
    scanner.expect(')');
  }

  /** Arguments or fields up to `close`; those that are missing get default values. */
  private fields(fields: readonly Field[], dir: Direction, close: string, owner: string): Arg[] {
    const scanner: Scanner = this.scanner;
    const nodes: Arg[] = [];
    while (!scanner.accept(close)) {
      if (nodes.length > 0) scanner.expect(',');
      const field = fields[nodes.length];
      if (field === undefined) scanner.fail(`${owner} takes ${fields.length}, this is one more`);
      nodes.push(this.arg(field.type, field.dir ?? dir));
    }
    for (const field of fields.slice(nodes.length)) nodes.push(default_arg(field.type, field.dir ?? dir));
    return nodes;
  }

  private arg(type: Type, dir: Direction): Arg {
    if (this.depth >= MAX_DEPTH) this.scanner.fail(`more than ${MAX_DEPTH} values inside each other`);
    this.depth++;
    const node = this.value(type, dir);
    this.depth--;
    return node;
  }

  private value(type: Type, dir: Direction): Arg {
    switch (type.kind) {
      case 'resource':
        return this.result(type, dir);
      case 'ptr':
      case 'vma':
        return this.pointer(type, dir);
      case 'buffer':
        return this.data(type, dir);
      case 'array':
        return this.array(type, dir);
      case 'struct':
        return this.struct(type, dir);
      case 'union':
        return this.union(type, dir);
      default:
        return this.number(type, dir);
    }
  }

  private number(type: NumberType, dir: Direction): Arg {
    const start = this.scanner.column;
    const value = this.scanner.number('a number');
    if (!allowed(type, value)) this.scanner.fail(`0x${value.toString(16)} is not allowed here`, start);
    return make_number(type, dir, value);
  }

  private result(type: ResourceType, dir: Direction): Arg {
    const scanner: Scanner = this.scanner;
    const start = scanner.column;
    let label: string | undefined;
    if (scanner.accept('<')) {
      label = scanner.result_name() ?? scanner.fail('expected the name of a result');
      scanner.expect('=>');
    }
    const name = scanner.result_name();
    const node =
      name === undefined
        ? make_result(type, dir, scanner.number('a number or a result'))
        : this.use(type, dir, name, start);
    if (label !== undefined) this.define(label, node, start);
    return node;
  }

  private use(type: ResourceType, dir: Direction, name: string, start: number): ResultArg {
    const scanner: Scanner = this.scanner;
    const source = this.results.get(name);
    if (source === undefined) scanner.fail(`no call before this one makes ${name}`, start);
    const known = is_any_resource(type) || is_any_resource(source.type);
    if (!known && resource_root(source.type.resource) !== resource_root(type.resource))
      scanner.fail(`${name} is a ${source.type.resource.name}, and a ${type.resource.name} is wanted`, start);
    const node = make_use(type, dir, source);
    if (scanner.accept('/')) node.divide = scanner.number('a divisor');
    if (scanner.accept('+')) node.add = scanner.number('a number to add');
    return node;
  }

  private define(name: string, node: ResultArg, start: number): void {
    if (this.results.has(name) || this.made.has(name)) this.scanner.fail(`${name} has a meaning already`, start);
    this.made.set(name, node);
  }

  private pointer(type: PtrType | VmaType, dir: Direction): Arg {
    const scanner: Scanner = this.scanner;
    if (scanner.accept('nil')) return make_special(type, dir, 0n);
    if (!scanner.accept('&')) return make_special(type, dir, scanner.number('a pointer'));
    scanner.expect('(');
    const start = scanner.column;
    const address = Number(scanner.number('an address')) - TEXT_BASE;
    const size = scanner.accept('/') ? Number(scanner.number('a size')) : 0;
    scanner.expect(')');
    if (address < 0 || address + size > DATA_SIZE) scanner.fail('the address lies outside the data area', start);
    if (type.kind === 'vma') return this.pages(type, dir, address, size, start);
    const pointee = this.pointee(type);
    if (pointee !== undefined && address + size_of(pointee) > DATA_SIZE)
      scanner.fail('what it points to ends outside the data area', start);
    return make_pointer(type, dir, address, pointee);
  }

  private pointee(type: PtrType): Arg | undefined {
    const scanner: Scanner = this.scanner;
    if (!scanner.accept('=')) return default_arg(type.elem, type.dir);
    if (scanner.accept('nil')) return undefined;
    if (scanner.accept('ANY=')) return this.array(ANY_ARRAY, 'in');
    return this.arg(type.elem, type.dir);
  }

  private pages(type: VmaType, dir: Direction, address: number, size: number, start: number): Arg {
    const scanner: Scanner = this.scanner;
    if (scanner.accept('=')) scanner.expect('nil');
    if (address % PAGE_SIZE !== 0 || size % PAGE_SIZE !== 0)
      scanner.fail('pages start and end at multiples of 0x1000', start);
    return make_vma(type, dir, address, size);
  }

  private data(type: BufferType, dir: Direction): Arg {
    const scanner: Scanner = this.scanner;
    const start = scanner.column;
    if (!scanner.sees("'") && !scanner.sees('"')) scanner.fail(`expected bytes in quotes, found ${scanner.found()}`);
    let bytes = scanner.bytes();
    const length = scanner.accept('/') ? Number(scanner.number('a length')) : bytes.length;
    if (length < bytes.length || length > DATA_SIZE)
      scanner.fail(`the length does not fit the ${bytes.length} bytes`, start);
    if (dir === 'out' && bytes.some((byte) => byte !== 0))
      scanner.fail('the kernel writes this: only its length counts', start);
    const fixed = fixed_size(type);
    if (fixed !== undefined && length !== fixed) scanner.fail(`expected ${fixed} bytes, found ${length}`, start);
    if (!allowed_bytes(type, bytes))
      scanner.fail(`expected ${type.values.map((value) => `'${value}'`).join(' or ')}`, start);
    if (length > bytes.length) {
      const longer = new Uint8Array(length);
      longer.set(bytes);
      bytes = longer;
    }
    return make_data(type, dir, bytes);
  }

  private array(type: Extract<Type, { kind: 'array' }>, dir: Direction): Arg {
    const scanner: Scanner = this.scanner;
    const start = scanner.column;
    scanner.expect('[');
    const nodes: Arg[] = [];
    while (!scanner.accept(']')) {
      if (nodes.length > 0) scanner.expect(',');
      nodes.push(this.arg(type.elem, dir));
    }
    if (type.min === type.max && nodes.length > type.max)
      scanner.fail(`expected ${type.max} elements, found ${nodes.length}`, start);
    while (nodes.length < type.min) nodes.push(default_arg(type.elem, dir));
    return make_group(type, dir, nodes);
  }

  private struct(type: StructType, dir: Direction): Arg {
    this.scanner.expect('{');
    return make_group(type, dir, this.fields(type.fields, dir, '}', `struct ${type.name}`));
  }

  private union(type: UnionType, dir: Direction): Arg {
    const scanner: Scanner = this.scanner;
    scanner.expect('@');
    const start = scanner.column;
    const name = scanner.word('the name of an option');
    const option = type.fields.findIndex((field) => field.name === name);
    const field = type.fields[option];
    if (field === undefined) scanner.fail(`union ${type.name} has no option '${name}'`, start);
    const own = field.dir ?? dir;
    return make_union(
      type,
      dir,
      option,
      scanner.accept('=') ? this.arg(field.type, own) : default_arg(field.type, own),
    );
  }
}
