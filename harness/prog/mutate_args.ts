/** Changes arguments of a call: one mutator for each kind of type. */
import type { NumberType } from '../desc/types.ts';
import { ANY_ARRAY } from './any.ts';
import { mutate_blob, random_blob_size, random_filename, random_string } from './buffers.ts';
import type { Generator } from './generate.ts';
import {
  type Arg,
  type Call,
  DATA_SIZE,
  type DataArg,
  data_size,
  type GroupArg,
  make_union,
  type NumberArg,
  PAGE_SIZE,
  type PointerArg,
  type ResultArg,
  type UnionArg,
} from './model.ts';
import { allowed } from './number.ts';
import type { Random } from './random.ts';
import { assign_sizes, size_of } from './size.ts';
import type { State } from './state.ts';
import { children, detach, for_each_node, replace } from './walk.ts';

/** Changes one argument or several. Answers false when the call has nothing to change. */
export function mutate_call_args(generator: Generator, call: Call): boolean {
  const { random, state } = generator;
  let changed = false;
  do {
    const nodes = candidates(call);
    if (nodes.length === 0) return changed;
    const node = pick_weighted(random, nodes);
    const before = sizes_of_pointees(call);
    changed = mutate_node(generator, node) || changed;
    // A length that was made wrong on purpose stays so until the next change.
    if (node.type.kind !== 'len') assign_sizes(call);
    relocate_grown(state, call, before);
  } while (random.one_in(3));
  return changed;
}

/** The nodes that have a mutator: not constants, and not what only the kernel writes, but for its size. */
function candidates(call: Call): Arg[] {
  const found: Arg[] = [];
  for (const arg of call.args)
    for_each_node(arg, (node) => {
      if (preference(node) > 0) found.push(node);
    });
  return found;
}

/** How much a change of the node promises; 0 is nothing. */
function preference(node: Arg): number {
  switch (node.kind) {
    case 'number':
      return node.dir === 'out' ? 0 : preference_of_number(node.type);
    case 'result':
      return node.dir === 'out' ? 0 : 5;
    case 'data':
      return node.type.min === node.type.max && node.dir === 'out' ? 0 : 4;
    case 'pointer':
      return node.dir === 'out' ? 0 : node.type.kind === 'vma' ? 5 : 2;
    case 'group':
      return node.type.kind === 'array' && node.type.min !== node.type.max && node.type !== ANY_ARRAY ? 4 : 0;
    case 'union':
      return node.type.fields.length > 1 && node.type !== ANY_ARRAY.elem ? 4 : 0;
  }
}

function preference_of_number(type: NumberType): number {
  switch (type.kind) {
    case 'int':
      return type.range !== undefined && type.range[0] === type.range[1] ? 1 : 6;
    case 'flags':
      return 8;
    case 'len':
      return 1;
    case 'proc':
      return 2;
    case 'const':
      return 0;
  }
}

function pick_weighted(random: Random, nodes: readonly Arg[]): Arg {
  let drawn = random.below(nodes.reduce((sum, node) => sum + preference(node), 0));
  for (const node of nodes) {
    drawn -= preference(node);
    if (drawn < 0) return node;
  }
  return nodes[0]!;
}

function mutate_node(generator: Generator, node: Arg): boolean {
  switch (node.kind) {
    case 'number':
      return mutate_number(generator, node);
    case 'result':
      mutate_result(generator, node);
      return true;
    case 'data':
      return mutate_data(generator, node);
    case 'pointer':
      return mutate_pointer(generator, node);
    case 'group':
      return mutate_array(generator, node);
    case 'union':
      return mutate_union(generator, node);
  }
}

/** Mutation makes no run of pages longer than this. */
const MAX_PAGES = 64;

/** Steps from what a call made to what may lie beside it: the next descriptor, the break a page on. */
const STEPS: readonly bigint[] = [1n, 2n, 8n, 4096n, 65536n];

/** Another value or maker; now and then a number near what the same call made. */
function mutate_result(generator: Generator, node: ResultArg): void {
  if (node.source !== undefined && generator.random.one_in(10)) node.add = generator.random.pick(STEPS);
  else replace(node, generator.arg(node.type, node.dir));
}

function mutate_number(generator: Generator, node: NumberArg): boolean {
  const { random } = generator;
  const { type, value } = node;
  let next = value;
  if (type.kind === 'len') next = wrong_length(random, value);
  else if (type.kind === 'proc' || random.one_in(2)) next = (generator.arg(type, node.dir) as NumberArg).value;
  else if (type.kind === 'flags') next = toggle(random, type.values, value, type.bitmask);
  else if (random.one_in(3)) next = value ^ (1n << BigInt(random.below(type.size * 8)));
  else next = value + BigInt(random.between(-4, 4) || 16);
  next = BigInt.asUintN(64, next);
  if (next === value || !allowed(type, next)) return false;
  node.value = next;
  return true;
}

/** A length a little off, off by its width, or anything. */
function wrong_length(random: Random, value: bigint): bigint {
  if (random.one_in(3)) return random.integer();
  if (random.one_in(3)) return value * BigInt(random.between(2, 4));
  return value + BigInt(random.between(-8, 8) || 1);
}

/** One bit on or off; of an enumeration another value. */
function toggle(random: Random, values: readonly bigint[], value: bigint, bitmask: boolean): bigint {
  return bitmask ? value ^ random.pick(values) : random.pick(values);
}

function mutate_data(generator: Generator, node: DataArg): boolean {
  const { random, state } = generator;
  const { type } = node;
  if (node.dir === 'out') {
    node.out_size = random.one_in(4) ? data_size(node) + random.between(1, 64) : random_blob_size(random, type);
    return true;
  }
  if (type.content === 'filename' && (type.strict || random.n_out_of(9, 10)))
    node.bytes = random_filename(random, type, state.files);
  else if (type.content === 'string' && (type.strict || random.one_in(2))) node.bytes = random_string(random, type);
  else node.bytes = mutate_blob(random, node.bytes, type.min, type.max);
  return true;
}

/** Another place for the same pointee, a pointee of its own, or another address altogether. */
function mutate_pointer(generator: Generator, node: PointerArg): boolean {
  const { random, state } = generator;
  if (node.special !== undefined || random.one_in(10)) {
    replace(node, generator.arg(node.type, node.dir));
    return true;
  }
  if (node.type.kind === 'vma') return mutate_pages(generator, node);
  if (node.pointee === undefined || random.one_in(10)) return false;
  node.address = state.memory.allocate(size_of(node.pointee));
  return true;
}

/** Other pages, or one page more or less. */
function mutate_pages(generator: Generator, node: PointerArg): boolean {
  const { random } = generator;
  if (random.one_in(2)) {
    replace(node, generator.arg(node.type, node.dir));
    return true;
  }
  const size = node.vma_size + (random.one_in(2) ? PAGE_SIZE : -PAGE_SIZE);
  if (size < PAGE_SIZE || size > MAX_PAGES * PAGE_SIZE) return false;
  node.vma_size = size;
  node.address = Math.min(node.address, DATA_SIZE - size);
  return true;
}

/** Adds, removes or swaps elements. */
function mutate_array(generator: Generator, node: GroupArg): boolean {
  const { random } = generator;
  if (node.type.kind !== 'array') return false;
  const { elem, min, max } = node.type;
  const what = random.below(3);
  if (what === 0 && node.inner.length < max) {
    node.inner.splice(random.below(node.inner.length + 1), 0, generator.arg(elem, node.dir));
    return true;
  }
  if (what === 1 && node.inner.length > min) {
    const [gone] = node.inner.splice(random.below(node.inner.length), 1);
    if (gone !== undefined) detach(gone);
    return true;
  }
  if (node.inner.length < 2) return false;
  const [a, b] = [random.below(node.inner.length), random.below(node.inner.length)];
  [node.inner[a], node.inner[b]] = [node.inner[b]!, node.inner[a]!];
  return a !== b;
}

/** Another option. */
function mutate_union(generator: Generator, node: UnionArg): boolean {
  const { fields } = node.type;
  const option = (node.option + 1 + generator.random.below(fields.length - 1)) % fields.length;
  const field = fields[option]!;
  replace(node, make_union(node.type, node.dir, option, generator.arg(field.type, field.dir ?? node.dir)));
  return true;
}

/** The size of what each pointer of the call leads to, for `relocate_grown`. */
export function sizes_of_pointees(call: Call): Map<PointerArg, number> {
  const sizes = new Map<PointerArg, number>();
  for (const arg of call.args)
    for_each_node(arg, (node) => {
      if (node.kind === 'pointer' && node.pointee !== undefined) sizes.set(node, size_of(node.pointee));
    });
  return sizes;
}

/** Gives a new place to each pointee that has grown since `before`: it may reach into its neighbour. */
export function relocate_grown(state: State, call: Call, before: ReadonlyMap<PointerArg, number>): void {
  for (const arg of call.args) relocate_below(state, arg, before);
}

function relocate_below(state: State, node: Arg, before: ReadonlyMap<PointerArg, number>): void {
  if (node.kind === 'pointer' && node.pointee !== undefined) {
    const size = size_of(node.pointee);
    if (size > (before.get(node) ?? size)) node.address = state.memory.allocate(size);
  }
  for (const child of children(node)) relocate_below(state, child, before);
}
