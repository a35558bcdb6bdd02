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
  /** For each call, the running sums of the priorities of the others beside it. */
  private readonly sums: readonly Uint32Array[];

  constructor(calls: readonly CallDescription[], priorities: readonly Float64Array[]) {
    this.calls = calls;
    for (const [i, description] of calls.entries()) this.index.set(description, i);
    this.sums = priorities.map((row) => {
      let sum = 0;
      return Uint32Array.from(row, (priority) => (sum += Math.round(priority)));
    });
  }

  /** A call to stand beside `beside`; any call without it. */
  choose(random: Random, beside: CallDescription | undefined): CallDescription {
    const row = beside === undefined ? undefined : this.index.get(beside);
    if (row === undefined || random.one_in(UNIFORM_ONE_IN)) return random.pick(this.calls);
    const sums = this.sums[row]!;
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
    const sums = this.sums[this.index.get(call) ?? -1];
    const at = this.index.get(other);
    if (sums === undefined || at === undefined) return 0;
    return sums[at]! - (at === 0 ? 0 : sums[at - 1]!);
  }
}

/** The static part depends on the target alone, and takes most of the time. */
const static_parts = new WeakMap<Target, readonly Float64Array[]>();

/** The table of a target and a corpus. Calls that end the program are not in it: the generator places them. */
export function make_choice_table(target: Target, corpus: readonly Program[] = []): ChoiceTable {
  const calls = target.calls.filter(({ traits }) => !traits.terminal);
  const static_part = static_parts.get(target) ?? static_priorities(calls);
  static_parts.set(target, static_part);
  const dynamic_part = dynamic_priorities(calls, corpus);
  const priorities = static_part.map((row, i) =>
    row.map((priority, j) => {
      const together = (priority * dynamic_part[i]![j]!) / HIGH;
      return Math.max(1, calls[j]!.traits.rare ? together / RARE_FACTOR : together);
    }),
  );
  return new ChoiceTable(calls, priorities);
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

/** How often the calls stand together in programs of the corpus. */
function dynamic_priorities(calls: readonly CallDescription[], corpus: readonly Program[]): Float64Array[] {
  const index = new Map(calls.map((description, i) => [description, i]));
  const table = calls.map(() => new Float64Array(calls.length));
  for (const program of corpus) {
    const present = [...new Set(program.calls.map(({ description }) => index.get(description) ?? -1))].filter(
      (i) => i >= 0,
    );
    for (const a of present) for (const b of present) table[a]![b]! += 1;
  }
  // The square root keeps the pairs that a corpus is full of from crowding out all others.
  for (const row of table) scale(row.map(Math.sqrt), row);
  return table;
}

/** Scales a row to LOW..HIGH; a row without anything to tell is HIGH throughout. */
function scale(row: Float64Array, into: Float64Array = row): void {
  const most = row.reduce((found, priority) => Math.max(found, priority), 0);
  for (let i = 0; i < row.length; i++) into[i] = most === 0 ? HIGH : LOW + ((HIGH - LOW) * row[i]!) / most;
}
