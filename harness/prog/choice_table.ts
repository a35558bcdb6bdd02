/**
 * Which call goes well with which. The priority of call b beside call a is the product of a static part, from what
 * their arguments have in common (resources, structs, kinds of memory), and a dynamic part, from how often they stand
 * together in the corpus. Both are scaled to LOW..HIGH, so that no pair is impossible.
 */
import type { CallDescription } from '../desc/call.ts';
import { for_each_type, type Target } from '../desc/target.ts';
import type { Direction, Resource, Type } from '../desc/types.ts';
import type { Program } from './model.ts';
import type { Random } from './random.ts';

const LOW = 10;
const HIGH = 1000;
/** One choice in this many is uniform: it keeps new pairs coming. */
const UNIFORM_ONE_IN = 20;
/** Calls with the trait `rare` are chosen this many times less often. */
const RARE_FACTOR = 10;

export class ChoiceTable {
  private readonly calls: readonly CallDescription[];
  private readonly index = new Map<CallDescription, number>();
  private readonly priorities: (row: number) => Float64Array;
  /** For each call, the running sums of the priorities of the others beside it; made when first asked for. */
  private readonly rows: (Uint32Array | undefined)[];

  constructor(calls: readonly CallDescription[], priorities: (row: number) => Float64Array) {
    this.calls = calls;
    for (const [i, description] of calls.entries()) this.index.set(description, i);
    this.priorities = priorities;
    this.rows = calls.map(() => undefined);
  }

  private sums(row: number): Uint32Array {
    const made = this.rows[row];
    if (made !== undefined) return made;
    const sums = running_sums(this.priorities(row));
    this.rows[row] = sums;
    return sums;
  }

  /** A call to stand beside `beside`; any call without it. */
  choose(random: Random, beside: CallDescription | undefined): CallDescription {
    const row = beside === undefined ? undefined : this.index.get(beside);
    if (row === undefined || random.one_in(UNIFORM_ONE_IN)) return random.pick(this.calls);
    const sums = this.sums(row);
    const drawn = random.below(sums[sums.length - 1]!);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! > drawn) high = middle;
      else low = middle + 1;
    }
    return this.calls[low]!;
  }

  /** The priority of `other` beside `call`; 0 for calls that are not chosen. */
  priority(call: CallDescription, other: CallDescription): number {
    const row = this.index.get(call);
    const at = this.index.get(other);
    if (row === undefined || at === undefined) return 0;
    const sums = this.sums(row);
    return sums[at]! - (at === 0 ? 0 : sums[at - 1]!);
  }
}

function running_sums(priorities: Float64Array): Uint32Array {
  const sums = new Uint32Array(priorities.length);
  let sum = 0;
  for (let i = 0; i < priorities.length; i++) {
    sum += Math.round(priorities[i]!);
    sums[i] = sum;
  }
  return sums;
}

/** The static part depends on the target alone, and takes most of the time. */
const static_parts = new WeakMap<Target, readonly Float64Array[]>();

/**
 * How often the calls of a target stand together in programs. A campaign adds programs as its corpus grows: to count all
 * of them again, for all rows of a table of which few are used, was a twentieth of its time.
 */
export class CallPairs {
  readonly target: Target;
  /** Calls that end the program are not among them: the generator places them. */
  readonly calls: readonly CallDescription[];
  private readonly index: ReadonlyMap<CallDescription, number>;
  private readonly counts: readonly Float64Array[];

  constructor(target: Target) {
    this.target = target;
    this.calls = target.calls.filter(({ traits }) => !traits.terminal);
    this.index = new Map(this.calls.map((description, i) => [description, i]));
    this.counts = this.calls.map(() => new Float64Array(this.calls.length));
  }

  add(program: Program): void {
    const present = new Set<number>();
    for (const { description } of program.calls) {
      const i = this.index.get(description);
      if (i !== undefined) present.add(i);
    }
    for (const a of present) for (const b of present) this.counts[a]![b]! += 1;
  }

  /** The dynamic part. The square root keeps the pairs that a corpus is full of from crowding out all others. */
  priorities(row: number): Float64Array {
    const found = this.counts[row]!.map(Math.sqrt);
    scale(found);
    return found;
  }
}

/** The table of a target and a corpus. */
export function make_choice_table(target: Target, corpus: readonly Program[] = []): ChoiceTable {
  const pairs = new CallPairs(target);
  for (const program of corpus) pairs.add(program);
  return choice_table_of(pairs);
}

/** The table of what has been counted; of no use any more when more is. */
export function choice_table_of(pairs: CallPairs): ChoiceTable {
  const { calls, target } = pairs;
  const static_part = static_parts.get(target) ?? static_priorities(calls);
  static_parts.set(target, static_part);
  return new ChoiceTable(calls, (row) => {
    const dynamic_part = pairs.priorities(row);
    return static_part[row]!.map((priority, j) => {
      const together = (priority * dynamic_part[j]!) / HIGH;
      return Math.max(1, calls[j]!.traits.rare ? together / RARE_FACTOR : together);
    });
  });
}

/** How much each call has to do with each: 1 for those that share nothing but a root resource, more for the special. */
function static_priorities(calls: readonly CallDescription[]): Float64Array[] {
  const uses = new Map<string, Map<number, number>>();
  for (const [i, description] of calls.entries())
    for_each_type(description, (type, dir) => {
      note(uses, i, topics(type, dir));
    });
  for (const [i, { result }] of calls.entries()) if (result !== undefined) note(uses, i, resource_topics(result));
  const table = calls.map(() => new Float64Array(calls.length));
  for (const users of uses.values())
    for (const [a, weight_a] of users)
      for (const [b, weight_b] of users) if (a !== b) table[a]![b]! += weight_a * weight_b;
  for (const [i, row] of table.entries()) {
    row[i] = row.reduce((most, priority) => Math.max(most, priority), 0) * 0.75; // the same call again is worth a try
    scale(row);
  }
  return table;
}

function note(uses: Map<string, Map<number, number>>, index: number, found: readonly [string, number][]): void {
  for (const [name, weight] of found) {
    const users = uses.get(name) ?? new Map<number, number>();
    uses.set(name, users.set(index, Math.max(users.get(index) ?? 0, weight)));
  }
}

/** What an argument type is about, with its weight: calls about the same things go together. */
function topics(type: Type, dir: Direction): [string, number][] {
  switch (type.kind) {
    case 'resource':
      return resource_topics(type.resource).map(([name, weight]) => [name, dir === 'out' ? weight : weight * 0.9]);
    case 'struct':
      return [[`struct ${type.name}`, 1]];
    case 'vma':
      return [['pages', 0.5]];
    case 'buffer':
      return type.content === 'filename' ? [['files', 0.4]] : [];
    default:
      return [];
  }
}

/** A special kind says more than the kinds it inherits from. */
function resource_topics(resource: Resource): [string, number][] {
  const found: [string, number][] = [];
  let weight = 1.5;
  for (let kind: Resource | undefined = resource; kind !== undefined; kind = kind.parent) {
    found.push([`resource ${kind.name}`, weight]);
    weight /= 4;
  }
  return found;
}

/** Scales a row to LOW..HIGH; a row without anything to tell is HIGH throughout. */
function scale(row: Float64Array): void {
  const most = row.reduce((found, priority) => Math.max(found, priority), 0);
  for (let i = 0; i < row.length; i++) row[i] = most === 0 ? HIGH : LOW + ((HIGH - LOW) * row[i]!) / most;
}
