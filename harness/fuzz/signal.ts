/**
 * Signal: what the campaign learns from coverage. An edge is a PC with what ran just before it:
 *
 *     edge = pc xor hash(previous pc)           the PC before a call's first is 0
 *
 * 32 bits, since the upper half of every PC is the same. Sets of edges lie in shared memory: all workers of a campaign
 * filter against one set of what is known.
 */

const EMPTY = 0;
/** Stands for the edge 0, which would read as an empty slot. */
const ZERO = 1;
const GOLDEN = 0x9e37_79b1;
/** Slots of a set by default: room for ten times the edges that the kernel has. */
const DEFAULT_BITS = 21;

/** Edges that a set remembers nearby: 64 KiB. */
const RECENT_BITS = 14;

/** Mixes a PC, so that its bits do not meet those of the next one. */
export function hash_pc(pc: number): number {
  const mixed = Math.imul(pc ^ (pc >>> 15), 0x2c1b_3c6d);
  return (mixed ^ (mixed >>> 12)) | 0;
}

/** What stands for an edge in a table. */
function key_of(edge: number): number {
  return (edge | 0) === EMPTY ? ZERO : edge | 0;
}

/** A set of edges that only grows: open addressing with linear probing; writers race for a slot with an atomic. */
export class SignalSet {
  readonly memory: SharedArrayBuffer;
  /** Word 0 is the number of edges, the slots follow. */
  private readonly words: Int32Array;
  private readonly shift: number;
  private readonly mask: number;
  private readonly most: number;
  /** Edges met last, by their hash: the set itself is megabytes, of which each trace touches other cache lines. */
  private readonly recent = new Int32Array(1 << RECENT_BITS);

  /** A new set with 2^bits slots, or the one that lies in `memory`. */
  constructor(memory?: SharedArrayBuffer, bits = DEFAULT_BITS) {
    this.memory = memory ?? new SharedArrayBuffer(4 * (2 ** bits + 1));
    this.words = new Int32Array(this.memory);
    const slots = this.words.length - 1;
    this.shift = 32 - Math.log2(slots);
    this.mask = slots - 1;
    this.most = Math.floor(slots * 0.9);
  }

  get size(): number {
    return Atomics.load(this.words, 0);
  }

  has(edge: number): boolean {
    const { words, mask, recent } = this;
    const key = key_of(edge);
    const hash = Math.imul(key, GOLDEN);
    const near = hash >>> (32 - RECENT_BITS);
    if (recent[near] === key) return true;
    let at = hash >>> this.shift;
    for (;;) {
      const found = words[at + 1];
      if (found === key) {
        recent[near] = key;
        return true;
      }
      if (found === EMPTY) return false;
      at = (at + 1) & mask;
    }
  }

  /** True when the edge was not there before. A set that is nine tenths full takes no more, and answers false. */
  add(edge: number): boolean {
    const { words, mask } = this;
    const key = key_of(edge);
    let at = Math.imul(key, GOLDEN) >>> this.shift;
    for (;;) {
      const found = words[at + 1];
      if (found === key) return false;
      if (found === EMPTY) {
        if (this.size >= this.most) return false;
        const before = Atomics.compareExchange(words, at + 1, EMPTY, key);
        if (before === EMPTY) {
          Atomics.add(words, 0, 1);
          return true;
        }
        if (before === key) return false;
      }
      at = (at + 1) & mask;
    }
  }
}

/** A few edges, forgotten before the next use: a Set of numbers beyond 31 bits costs ten times as much an edge. */
class EdgeTable {
  private keys = new Int32Array(256);
  private met = new Uint8Array(256);
  private shift = 24;
  private mask = 255;

  /** Forgets what is there, and makes room for `count` edges. */
  reset(count: number): void {
    let bits = 8;
    while (2 ** bits < count * 2) bits++;
    this.shift = 32 - bits;
    this.mask = 2 ** bits - 1;
    if (this.keys.length < 2 ** bits) {
      this.keys = new Int32Array(2 ** bits);
      this.met = new Uint8Array(2 ** bits);
    } else {
      this.keys.fill(EMPTY, 0, 2 ** bits);
      this.met.fill(0, 0, 2 ** bits);
    }
  }

  /** False when it is there already. */
  add(edge: number): boolean {
    const at = this.find(edge);
    if (this.keys[at] !== EMPTY) return false;
    this.keys[at] = key_of(edge);
    return true;
  }

  /** True when an edge that is there is met for the first time. */
  meet(edge: number): boolean {
    const at = this.find(edge);
    if (this.keys[at] === EMPTY || this.met[at] !== 0) return false;
    this.met[at] = 1;
    return true;
  }

  /** Where the edge is, or would be. */
  private find(edge: number): number {
    const { keys, mask } = this;
    const key = key_of(edge);
    let at = Math.imul(key, GOLDEN) >>> this.shift;
    while (keys[at] !== key && keys[at] !== EMPTY) at = (at + 1) & mask;
    return at;
  }
}

const table = new EdgeTable();
const NO_EDGES = new Uint32Array(0);

/** Adds the trace's edges to `known`: those that were not there before, ascending. Most traces have none. */
export function take_new_edges(pcs: Uint32Array, known: SignalSet): Uint32Array {
  let found: number[] | undefined;
  let before = hash_pc(0);
  for (let i = 0; i < pcs.length; i++) {
    const pc = pcs[i]!;
    const edge = pc ^ before;
    before = hash_pc(pc);
    if (known.has(edge) || !known.add(edge)) continue;
    found ??= [];
    found.push(edge);
  }
  return found === undefined ? NO_EDGES : Uint32Array.from(found).sort();
}

/** The edges of a trace, each once, as unsigned numbers in ascending order. */
export function edges_of(pcs: Uint32Array): Uint32Array {
  const edges = new Uint32Array(pcs.length);
  table.reset(pcs.length);
  let count = 0;
  let before = hash_pc(0);
  for (let i = 0; i < pcs.length; i++) {
    const pc = pcs[i]!;
    const edge = pc ^ before;
    before = hash_pc(pc);
    if (table.add(edge)) edges[count++] = edge;
  }
  return edges.slice(0, count).sort();
}

/** Adds edges to the set; answers those that were not there before. */
export function add_edges(known: SignalSet, edges: Uint32Array): Uint32Array {
  return edges.filter((edge) => known.add(edge));
}

/** True when the trace has all the edges, of which none repeats. */
export function covers(pcs: Uint32Array, wanted: Uint32Array): boolean {
  if (wanted.length > pcs.length) return false;
  table.reset(wanted.length);
  let left = 0;
  for (let i = 0; i < wanted.length; i++) if (table.add(wanted[i]!)) left++;
  let before = hash_pc(0);
  for (let i = 0; i < pcs.length && left > 0; i++) {
    const pc = pcs[i]!;
    if (table.meet(pc ^ before)) left--;
    before = hash_pc(pc);
  }
  return left === 0;
}

/** A number that two traces share only if they are the same, for all practical purposes. */
export function hash_trace(pcs: Uint32Array): number {
  let hash = pcs.length | 0;
  for (let i = 0; i < pcs.length; i++) hash = Math.imul(hash ^ pcs[i]!, 0x0100_0193) ^ (hash >>> 13);
  return hash >>> 0;
}
