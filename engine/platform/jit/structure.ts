/**
 * From a graph of blocks to nested loops: what WebAssembly can express.
 *
 * A level is a list of items in topological order, each a block or a loop; a branch forward goes to the label in front
 * of an item of its own level or one further out, a branch back to the loop that it is in. A loop is a strongly
 * connected component. With one way in, that block is its header. With several the loop begins with a dispatch on the
 * local `state`: whoever enters sets it, and so does the branch back to the one block chosen as header. Inside a loop
 * the edges to its header are gone, which leaves smaller components.
 */
import { assert } from '../../base/assert.ts';

export interface LoopItem {
  readonly kind: 'loop';
  readonly header: number;
  /** Blocks where control may come in; more than the header: `state` says which. */
  readonly entries: readonly number[];
  readonly parent: LoopItem | null;
  items: readonly Item[];
}

export interface BlockItem {
  readonly kind: 'block';
  readonly id: number;
}

export type Item = BlockItem | LoopItem;

export interface Structure {
  readonly items: readonly Item[];
  /** Innermost loop of each block, null outside of loops. */
  readonly loop_of: readonly (LoopItem | null)[];
  /** Blocks that are headers: every cycle of the graph has one. */
  readonly headers: ReadonlySet<number>;
  /** Value of `state` for the blocks that a dispatch may lead to. */
  readonly states: ReadonlyMap<number, number>;
}

class Structurer {
  private readonly successors: readonly (readonly number[])[];
  private readonly predecessors: number[][];
  /** Blocks reached from outside of the graph, or by a dispatch. */
  private readonly external: Set<number>;
  readonly loop_of: (LoopItem | null)[];
  readonly headers = new Set<number>();
  readonly states = new Map<number, number>();

  constructor(successors: readonly (readonly number[])[], entries: readonly number[]) {
    this.successors = successors;
    this.predecessors = successors.map(() => []);
    successors.forEach((list, from) => {
      for (const to of list) this.predecessors[to]!.push(from);
    });
    this.external = new Set(entries);
    this.loop_of = successors.map(() => null);
    for (const entry of entries) this.state(entry);
  }

  private state(block: number): void {
    if (!this.states.has(block)) this.states.set(block, this.states.size);
  }

  /** Items of a level, in topological order. */
  level(nodes: readonly number[], parent: LoopItem | null): Item[] {
    const items: Item[] = [];
    for (const component of this.components(nodes)) {
      const only = component[0] as number;
      if (component.length === 1 && !this.edge(only, only)) {
        this.loop_of[only] = parent;
        items.push({ kind: 'block', id: only });
      } else items.push(this.loop(component, parent));
    }
    return items;
  }

  private edge(from: number, to: number): boolean {
    return !this.headers.has(to) && this.successors[from]!.includes(to);
  }

  private loop(component: readonly number[], parent: LoopItem | null): LoopItem {
    const members = new Set(component);
    let entries = component.filter(
      (id) => this.external.has(id) || this.predecessors[id]!.some((from) => !members.has(from)),
    );
    assert(entries.length > 0, 'a loop that nothing leads to');
    const header = entries.length > 1 ? this.best_header(entries, members) : (entries[0] as number);
    if (!entries.includes(header)) entries = [...entries, header];
    const loop: LoopItem = { kind: 'loop', header, entries, parent, items: [] };
    if (entries.length > 1)
      for (const entry of entries) {
        this.external.add(entry);
        this.state(entry);
      }
    this.headers.add(header);
    loop.items = this.level(component, loop);
    return loop;
  }

  /**
   * The block that most branches from behind it lead to, of those without any the first entry. A block's branch to itself
   * does not count: it makes a loop of its own, which needs no dispatch if another block is the header.
   */
  private best_header(entries: readonly number[], members: ReadonlySet<number>): number {
    let best = entries[0] as number;
    let most = 0;
    for (const id of members) {
      const count = this.predecessors[id]!.filter((from) => from > id && members.has(from)).length;
      if (count > most) {
        most = count;
        best = id;
      }
    }
    return best;
  }

  /** Strongly connected components of the nodes without edges to headers, in topological order (Tarjan). */
  private components(nodes: readonly number[]): number[][] {
    const members = new Set(nodes);
    const index = new Map<number, number>();
    const low = new Map<number, number>();
    const on_stack = new Set<number>();
    const stack: number[] = [];
    const found: number[][] = [];
    const edges = (id: number): number[] => this.successors[id]!.filter((to) => members.has(to) && this.edge(id, to));
    const visit = (root: number): void => {
      const work: { id: number; edges: number[]; at: number }[] = [];
      const enter = (id: number): void => {
        index.set(id, index.size);
        low.set(id, index.get(id) as number);
        stack.push(id);
        on_stack.add(id);
        work.push({ id, edges: edges(id), at: 0 });
      };
      enter(root);
      while (work.length > 0) {
        const top = work.at(-1)!;
        const to = top.edges[top.at++];
        if (to !== undefined) {
          if (!index.has(to)) enter(to);
          else if (on_stack.has(to)) low.set(top.id, Math.min(low.get(top.id)!, index.get(to)!));
          continue;
        }
        work.pop();
        const under = work.at(-1);
        if (under !== undefined) low.set(under.id, Math.min(low.get(under.id)!, low.get(top.id)!));
        if (low.get(top.id) !== index.get(top.id)) continue;
        const component: number[] = [];
        for (;;) {
          const id = stack.pop() as number;
          on_stack.delete(id);
          component.push(id);
          if (id === top.id) break;
        }
        found.push(component.sort((a, b) => a - b));
      }
    };
    // From the last block to the first, so that the order of addresses is kept where nothing else decides.
    for (let i = nodes.length - 1; i >= 0; i--) if (!index.has(nodes[i]!)) visit(nodes[i]!);
    return found.reverse();
  }
}

/** Structures a graph: successors of each block, and the blocks where it is entered. */
export function structure(successors: readonly (readonly number[])[], entries: readonly number[]): Structure {
  const s = new Structurer(successors, entries);
  const items = s.level(
    successors.map((_, id) => id),
    null,
  );
  return { items, loop_of: s.loop_of, headers: s.headers, states: s.states };
}
