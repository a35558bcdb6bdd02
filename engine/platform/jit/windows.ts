/**
 * Which accesses of a region share one look into the TLB.
 *
 * Code reaches the fields of a structure, or the slots of its stack frame, by small distances from one address. Where
 * several accesses do, the first one looks up all the bytes between the lowest and the highest of them, a *window*, and
 * keeps their machine address in a local; the others need no look. Where a window crosses a page boundary the region is
 * left, and if that happens often, made again without the window. What a loop goes through step by step has none from the
 * start, since it comes to such a boundary sooner or later.
 *
 * Addresses are told apart by value numbers (numbering.ts). A window is known where every way has looked it up since
 * its version came about. What is mapped behind it cannot change meanwhile: regions are left where the vCPU is
 * interrupted, and by each access that called the kernel (`access` in interp/runtime.ts).
 */
import type { Statement } from '../../x86/statement.ts';
import { ABSOLUTE, type Access, Numbering, type Step } from './numbering.ts';
import { type Block, type Insn, type Region, successors_of } from './region.ts';
import { begins_at } from './runs.ts';

/** Bytes of a window at most: of objects at any place, one in sixty crosses a page. */
const MAX_SPAN = 64;
/** The same where the stack pointer leads: a frame stays where it is. */
const MAX_STACK_SPAN = 256;
const PAGE = 4096;

/** How an access gets at its bytes. */
export interface WindowUse {
  readonly window: Window;
  /** Of the access in the window. */
  readonly offset: number;
  /** What the TLB is asked first; null: the window is known. */
  check: 'read' | 'write' | null;
}

export interface Window {
  /** Names its local: windows that are never known at once may have the same. */
  readonly id: number;
  readonly span: number;
}

export type WindowUses = ReadonlyMap<Insn, ReadonlyMap<Statement, WindowUse>>;

function is_write(s: Access): boolean {
  return s.kind === 'store' || (s.kind === 'resolve' && s.write);
}

/** A window while it is being made. */
interface Cluster extends Window {
  readonly version: number;
  readonly low: number;
}

interface Item {
  readonly event: Extract<Step, { kind: 'access' }>;
  readonly low: number;
  readonly high: number;
}

/** Cuts the accesses of one version into clusters that lie close together, from the lowest on. */
function cut(version: number, on_stack: boolean, items: Item[], clusters: Cluster[], of: Map<Step, Cluster>): void {
  items.sort((a, b) => a.low - b.low || a.high - b.high);
  const span = on_stack ? MAX_STACK_SPAN : MAX_SPAN;
  for (let first = 0; first < items.length; ) {
    const { low } = items[first] as Item;
    const limit = version === ABSOLUTE ? Math.min(low + MAX_SPAN, (Math.floor(low / PAGE) + 1) * PAGE) : low + span;
    let high = low;
    let end = first;
    for (; end < items.length && (items[end] as Item).high <= limit; end++) high = Math.max(high, items[end]!.high);
    if (end > first + 1) {
      const cluster: Cluster = { id: clusters.length, span: high - low, version, low };
      clusters.push(cluster);
      for (let i = first; i < end; i++) of.set(items[i]!.event, cluster);
    }
    first = Math.max(end, first + 1);
  }
}

/** Puts accesses that lie close together into clusters; those of `excluded` instructions, and what is with them, not. */
function make_clusters(
  numbering: Numbering,
  events: readonly Step[][],
  excluded: (rip: number) => boolean,
): Map<Step, Cluster> {
  const by_version = new Map<number, Item[]>();
  for (const list of events)
    for (const event of list) {
      if (event.kind !== 'access') continue;
      const { version, delta } = event.at;
      if (numbering.is_stepped(version)) continue;
      let items = by_version.get(version);
      if (items === undefined) {
        items = [];
        by_version.set(version, items);
      }
      items.push({ event, low: delta, high: delta + event.statement.size });
    }
  const clusters: Cluster[] = [];
  const of = new Map<Step, Cluster>();
  for (const [version, items] of by_version) cut(version, numbering.is_on_stack(version), items, clusters, of);
  const bad = new Set<Cluster>();
  for (const [event, cluster] of of) if (event.kind === 'access' && excluded(begins_at(event.insn))) bad.add(cluster);
  for (const [event, cluster] of of) if (bad.has(cluster)) of.delete(event);
  return of;
}

/** Windows that are known, for reads and for writes. */
interface Known {
  readonly read: Set<Cluster>;
  readonly write: Set<Cluster>;
}

class Availability {
  private readonly region: Region;
  private readonly events: readonly Step[][];
  private readonly of: ReadonlyMap<Step, Cluster>;
  private readonly by_version = new Map<number, Cluster[]>();
  /** What every way to a block knows; null while no way to it has been gone. */
  private readonly known: (Known | null)[];
  readonly uses = new Map<Insn, Map<Statement, WindowUse>>();

  constructor(
    region: Region,
    events: readonly Step[][],
    of: ReadonlyMap<Step, Cluster>,
    parts: ReadonlyMap<number, readonly number[]>,
  ) {
    this.region = region;
    this.events = events;
    this.of = of;
    this.known = region.blocks.map(() => null);
    for (const cluster of new Set(of.values()))
      for (const version of [cluster.version, ...(parts.get(cluster.version) ?? [])]) {
        const list = this.by_version.get(version);
        if (list === undefined) this.by_version.set(version, [cluster]);
        else list.push(cluster);
      }
  }

  run(): void {
    const entries = new Set(this.region.entries);
    for (const entry of entries) this.known[entry] = { read: new Set(), write: new Set() };
    const work = [...entries];
    while (work.length > 0) {
      const id = work.pop() as number;
      const behind = this.go_through(id, null);
      for (const to of successors_of(this.region.blocks[id] as Block)) if (this.meet(to, behind)) work.push(to);
    }
    for (const { id } of this.region.blocks) if (this.known[id] !== null) this.go_through(id, this.uses);
  }

  private meet(id: number, behind: Known): boolean {
    const known = this.known[id];
    if (known === null || known === undefined) {
      this.known[id] = { read: new Set(behind.read), write: new Set(behind.write) };
      return true;
    }
    const before = known.read.size + known.write.size;
    for (const cluster of known.read) if (!behind.read.has(cluster)) known.read.delete(cluster);
    for (const cluster of known.write) if (!behind.write.has(cluster)) known.write.delete(cluster);
    return known.read.size + known.write.size !== before;
  }

  private go_through(id: number, uses: Map<Insn, Map<Statement, WindowUse>> | null): Known {
    const { read, write } = this.known[id] as Known;
    const now = { read: new Set(read), write: new Set(write) };
    const list = this.events[id] as Step[];
    list.forEach((event, i) => {
      if (event.kind === 'new') {
        for (const cluster of this.by_version.get(event.version) ?? []) {
          now.read.delete(cluster);
          now.write.delete(cluster);
        }
        return;
      }
      const cluster = this.of.get(event);
      if (cluster === undefined) return;
      const check = this.check(cluster, is_write(event.statement), now, list, i);
      now.read.add(cluster);
      if (check === 'write') now.write.add(cluster);
      if (uses !== null) note(uses, event, { window: cluster, offset: event.at.delta - cluster.low, check });
    });
    return now;
  }

  /** What an access has to ask. A read asks for what a write behind it in the same block will need. */
  private check(cluster: Cluster, write: boolean, now: Known, list: readonly Step[], i: number): WindowUse['check'] {
    if ((write ? now.write : now.read).has(cluster)) return null;
    if (write) return 'write';
    for (const event of list.slice(i + 1)) {
      if (event.kind === 'new' && this.by_version.get(event.version)?.includes(cluster) === true) break;
      if (event.kind === 'access' && this.of.get(event) === cluster && is_write(event.statement)) return 'write';
    }
    return 'read';
  }
}

function note(
  uses: Map<Insn, Map<Statement, WindowUse>>,
  { insn, statement }: Extract<Step, { kind: 'access' }>,
  use: WindowUse,
): void {
  let of_insn = uses.get(insn);
  if (of_insn === undefined) {
    of_insn = new Map();
    uses.set(insn, of_insn);
  }
  of_insn.set(statement, use);
}

/**
 * The windows of a region: how the accesses that share one get at their bytes. Accesses at instructions that are
 * `excluded` have none, nor those that would share it with them.
 */
export function find_windows(region: Region, excluded: (rip: number) => boolean): WindowUses {
  const numbering = new Numbering(region);
  const events = numbering.run();
  const of = make_clusters(numbering, events, excluded);
  const availability = new Availability(region, events, of, numbering.parts);
  availability.run();
  const { uses } = availability;
  const worth = new Set<Window>();
  for (const of_insn of uses.values())
    for (const use of of_insn.values()) if (use.check === null) worth.add(use.window);
  for (const of_insn of uses.values())
    for (const [statement, use] of of_insn) if (!worth.has(use.window)) of_insn.delete(statement);
  return uses;
}
