/**
 * Ways from region to region, as samples see them, and which regions they make one unit.
 *
 * The runtime's `chain` counts ways and shows each PERIOD-th. After some hundred samples those that lead to each other
 * often are put together, the most frequent way first.
 */
import { MAX_REGIONS } from '../../machine/vcpu.layout.ts';

/** Bounds of a unit. */
export interface UnitLimits {
  readonly members: number;
  readonly instructions: number;
  readonly pages: number;
}

/** What a region, or what is a unit already, would bring with it. */
export interface Part {
  /** Numbers of the regions. */
  readonly members: readonly number[];
  readonly instructions: number;
  readonly pages: ReadonlySet<number>;
}

/** Regions that shall be a unit. */
export interface Cluster {
  readonly members: readonly number[];
  /** Samples of ways between them. */
  readonly weight: number;
}

class Group implements Part {
  members: readonly number[];
  instructions: number;
  pages: ReadonlySet<number>;
  weight = 0;

  constructor({ members, instructions, pages }: Part) {
    this.members = members;
    this.instructions = instructions;
    this.pages = pages;
  }

  /** Takes another group in if that is within bounds. */
  absorb(other: Group, limits: UnitLimits): boolean {
    const pages = new Set([...this.pages, ...other.pages]);
    const members = this.members.length + other.members.length;
    const instructions = this.instructions + other.instructions;
    if (members > limits.members || instructions > limits.instructions || pages.size > limits.pages) return false;
    this.members = [...this.members, ...other.members];
    this.instructions = instructions;
    this.pages = pages;
    this.weight += other.weight;
    return true;
  }
}

/** Ways that are known of at once. */
const MAX_EDGES = 8192;

function key_of(from: number, to: number): number {
  return from * MAX_REGIONS + to;
}

export class Transitions {
  private readonly counts = new Map<number, number>();
  /** Notes a way between regions by their numbers. */
  note(from: number, to: number): void {
    const key = key_of(from, to);
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    if (this.counts.size > MAX_EDGES) for (const [rare, count] of this.counts) if (count < 2) this.counts.delete(rare);
    if (this.counts.size > MAX_EDGES) this.counts.clear();
  }

  /** Forgets the ways between regions. */
  forget(numbers: readonly number[]): void {
    const gone = new Set(numbers);
    for (const [from, to] of this.edges()) if (gone.has(from) && gone.has(to)) this.counts.delete(key_of(from, to));
  }

  /** The regions that a region has led to. */
  followers(from: number): number[] {
    return this.edges()
      .filter(([a]) => a === from)
      .map(([, b]) => b);
  }

  private edges(): [from: number, to: number, count: number][] {
    return [...this.counts].map(([key, count]) => [Math.floor(key / MAX_REGIONS), key % MAX_REGIONS, count]);
  }

  /**
   * Groups of regions with a way between them that has been seen more than once. `part_of` has the region with a number,
   * with all of its unit; null if it is to be left alone.
   */
  clusters(part_of: (number: number) => Part | null, limits: UnitLimits): Cluster[] {
    const groups = new Map<number, Group>();
    const group_of = (number: number): Group | null => {
      const known = groups.get(number);
      const part = known === undefined ? part_of(number) : null;
      if (known !== undefined || part === null) return known ?? null;
      const group = new Group(part);
      for (const member of part.members) groups.set(member, group);
      return group;
    };
    const edges = this.edges().filter(([from, to, count]) => from !== to && count > 1);
    for (const [from, to, count] of edges.sort((a, b) => b[2] - a[2])) {
      const [a, b] = [group_of(from), group_of(to)];
      if (a === null || b === null) continue;
      if (a !== b) {
        if (!a.absorb(b, limits)) continue;
        for (const member of b.members) groups.set(member, a);
      }
      a.weight += count;
    }
    return [...new Set(groups.values())].map(({ members, weight }) => ({ members, weight }));
  }
}
