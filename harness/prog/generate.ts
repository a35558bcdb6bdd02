/** Makes programs, calls and arguments from their descriptions. */
import type { CallDescription } from '../desc/call.ts';
import type { Target } from '../desc/target.ts';
import type {
  ArrayType,
  BufferType,
  Direction,
  Field,
  FlagsType,
  IntType,
  PtrType,
  ResourceType,
  Type,
  VmaType,
} from '../desc/types.ts';
import { is_any_resource } from './any.ts';
import { random_blob_size, random_filename, random_string } from './buffers.ts';
import type { ChoiceTable } from './choice_table.ts';
import {
  type Arg,
  type Call,
  default_value,
  MAX_CALLS,
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
import type { Random } from './random.ts';
import { assign_sizes, size_of } from './size.ts';
import { State } from './state.ts';
import { remove_call } from './walk.ts';

/** Addresses that lead nowhere: not canonical, the kernel's, the last page. */
const BAD_ADDRESSES: readonly bigint[] = [0n, 0x9999_9999_9999_9999n, 0xffff_8000_0000_0000n, 0xffff_ffff_ffff_ffffn];
/** Calls that make resources for calls that make resources... end here. */
const MAX_DEPTH = 4;
/** One program in this many ends with a call that ends the task. */
const TERMINAL_ONE_IN = 50;

/** A program of about `length` calls (1 or more), a few more where the last ones need resources. */
export function generate_program(target: Target, table: ChoiceTable, random: Random, length: number): Program {
  const state = new State(target, table);
  const generator = new Generator(random, state);
  const program: Program = { calls: [] };
  while (program.calls.length < length) {
    const beside = program.calls.length === 0 ? undefined : random.pick(program.calls).description;
    program.calls.push(...generator.calls(table.choose(random, beside)));
  }
  while (program.calls.length > Math.max(length, MAX_CALLS)) remove_call(program, program.calls.length - 1);
  const last = target.calls.filter(({ traits }) => traits.terminal);
  if (last.length > 0 && program.calls.length < MAX_CALLS && random.one_in(TERMINAL_ONE_IN))
    program.calls.push(...generator.calls(random.pick(last)));
  return program;
}

export class Generator {
  readonly random: Random;
  readonly state: State;
  /** Calls made for resources that arguments need, in order; whoever asked for arguments takes them. */
  private before: Call[] = [];
  private depth = 0;

  constructor(random: Random, state: State) {
    this.random = random;
    this.state = state;
  }

  /** The call with random arguments, behind the calls that make what it needs. The state knows them all. */
  calls(description: CallDescription): Call[] {
    const before = this.before;
    this.before = [];
    const call = make_call(description);
    call.args.push(...this.fields(description.args, 'in'));
    assign_sizes(call);
    this.state.add(call);
    const made = [...this.before, call];
    this.before = before;
    return made;
  }

  /** The calls that arguments made since the last time need. */
  take_calls(): Call[] {
    const made = this.before;
    this.before = [];
    return made;
  }

  /** A random node of the type. */
  arg(type: Type, dir: Direction): Arg {
    switch (type.kind) {
      case 'resource':
        return this.resource(type, dir);
      case 'ptr':
        return this.pointer(type, dir);
      case 'vma':
        return this.pages(type, dir);
      case 'buffer':
        return this.buffer(type, dir);
      case 'array':
        return this.array(type, dir);
      case 'struct':
        return make_group(type, dir, this.fields(type.fields, dir));
      case 'union': {
        const option = this.random.below(type.fields.length);
        const field = type.fields[option]!;
        return make_union(type, dir, option, this.arg(field.type, field.dir ?? dir));
      }
      case 'int':
        return make_number(type, dir, dir === 'out' ? default_value(type) : this.integer(type));
      case 'flags':
        return make_number(type, dir, dir === 'out' ? default_value(type) : this.flags(type));
      case 'proc':
        return make_number(type, dir, BigInt(this.random.below(type.per_proc)));
      default:
        return make_number(type, dir, default_value(type));
    }
  }

  private fields(fields: readonly Field[], dir: Direction): Arg[] {
    return fields.map((field) => this.arg(field.type, field.dir ?? dir));
  }

  /** A value for a plain number. */
  integer(type: IntType): bigint {
    if (type.range === undefined) return this.random.integer();
    if (type.strict || this.random.n_out_of(99, 100)) return this.random.in_range(...type.range);
    return this.random.integer();
  }

  /** A value for named bits or an enumeration. */
  flags(type: FlagsType): bigint {
    const { random } = this;
    if (!type.strict && random.one_in(100)) return random.integer();
    if (!type.bitmask) return random.pick(type.values);
    if (random.one_in(10)) return 0n;
    let value = random.pick(type.values);
    while (random.one_in(2)) value |= random.pick(type.values);
    return value;
  }

  private resource(type: ResourceType, dir: Direction): ResultArg {
    if (dir === 'out') return make_result(type, dir, default_value(type));
    const { random } = this;
    if (random.one_in(20)) return make_result(type, dir, this.special(type));
    if (random.one_in(4)) {
      const made = this.create(type);
      if (made !== undefined) return make_use(type, dir, made);
    }
    const source = this.existing(type) ?? this.create(type);
    return source === undefined ? make_result(type, dir, this.special(type)) : make_use(type, dir, source);
  }

  /** A value that needs no call; now and then one that it could not have. */
  private special(type: ResourceType): bigint {
    return this.random.one_in(10) ? this.random.integer() : this.random.pick(type.resource.values);
  }

  /** What an earlier call made: of the kind asked for, seldom of a related one. */
  private existing(type: ResourceType): ResultArg | undefined {
    const { random, state } = this;
    if (is_any_resource(type)) return pick_or_none(random, state.all_results());
    if (random.one_in(50)) return pick_or_none(random, state.related(type.resource));
    return pick_or_none(random, state.usable(type.resource));
  }

  /** Makes calls whose last one makes the resource. */
  private create(type: ResourceType): ResultArg | undefined {
    const makers = this.state.target.creators.get(type.resource) ?? [];
    if (makers.length === 0 || this.depth >= MAX_DEPTH || this.before.length >= 8) return undefined;
    this.depth++;
    this.before.push(...this.calls(this.random.pick(makers)));
    this.depth--;
    return this.state.usable(type.resource).at(-1);
  }

  private pointer(type: PtrType, dir: Direction): Arg {
    const { random } = this;
    if (dir === 'out') return make_special(type, dir, 0n);
    if (type.optional && random.one_in(5)) return make_special(type, dir, 0n);
    if (random.one_in(200)) return make_special(type, dir, random.pick(BAD_ADDRESSES));
    const pointee = this.arg(type.elem, type.dir);
    return make_pointer(type, dir, this.state.memory.allocate(size_of(pointee)), pointee);
  }

  private pages(type: VmaType, dir: Direction): Arg {
    const { random } = this;
    if (dir === 'out' || (type.optional && random.one_in(3))) return make_special(type, dir, 0n);
    const count = random.between(type.min_pages, type.max_pages);
    return make_vma(type, dir, this.state.pages.allocate(random, count) * PAGE_SIZE, count * PAGE_SIZE);
  }

  private buffer(type: BufferType, dir: Direction): Arg {
    const { random } = this;
    if (dir === 'out') return make_data(type, dir, new Uint8Array(random_blob_size(random, type)));
    if (type.content === 'filename') return make_data(type, dir, random_filename(random, type, this.state.files));
    if (type.content === 'string') return make_data(type, dir, random_string(random, type));
    return make_data(type, dir, random.bytes(random_blob_size(random, type)));
  }

  private array(type: ArrayType, dir: Direction): Arg {
    const count = type.min + this.random.small(Math.min(type.max, type.min + 8) - type.min + 1);
    return make_group(
      type,
      dir,
      Array.from({ length: count }, () => this.arg(type.elem, dir)),
    );
  }
}

function pick_or_none<T>(random: Random, items: readonly T[]): T | undefined {
  return items.length === 0 ? undefined : random.pick(items);
}
