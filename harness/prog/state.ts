/** What the calls before a place in a program have made and used: the generator refers to it. */
import type { Target } from '../desc/target.ts';
import { type Resource, resource_fits, resource_root } from '../desc/types.ts';
import type { ChoiceTable } from './choice_table.ts';
import { DataMemory, PageMemory } from './memory.ts';
import {
  type Arg,
  type Call,
  type DataArg,
  PAGE_SIZE,
  type PointerArg,
  type Program,
  type ResultArg,
} from './model.ts';
import { size_of } from './size.ts';

export class State {
  readonly target: Target;
  readonly table: ChoiceTable;
  readonly memory = new DataMemory();
  readonly pages = new PageMemory();
  /** Paths that earlier calls name. */
  readonly files: DataArg[] = [];
  private readonly results: ResultArg[] = [];

  constructor(target: Target, table: ChoiceTable) {
    this.target = target;
    this.table = table;
  }

  /** Takes note of a call. */
  add({ result, args }: Call): void {
    if (result !== undefined) this.results.push(result);
    for (let i = 0; i < args.length; i++) this.note(args[i]!);
  }

  /** Takes the memory of a call that is about to change: its new pointees go elsewhere. */
  reserve({ args }: Call): void {
    for (let i = 0; i < args.length; i++) this.reserve_below(args[i]!);
  }

  /** What is usable as the resource. */
  usable(resource: Resource): ResultArg[] {
    const found: ResultArg[] = [];
    for (let i = 0; i < this.results.length; i++) {
      const node = this.results[i]!;
      if (resource_fits(node.type.resource, resource)) found.push(node);
    }
    return found;
  }

  /** What is a number of the same name space: fits a call in form, not in kind. */
  related(resource: Resource): ResultArg[] {
    const root = resource_root(resource);
    return this.results.filter((node) => resource_root(node.type.resource) === root);
  }

  /** Everything that calls have made. */
  all_results(): readonly ResultArg[] {
    return this.results;
  }

  private note(node: Arg): void {
    if (node.kind === 'group') {
      const { inner } = node;
      for (let i = 0; i < inner.length; i++) this.note(inner[i]!);
    } else if (node.kind === 'union') this.note(node.inner);
    else if (node.kind === 'pointer') {
      this.note_memory(node);
      if (node.pointee !== undefined) this.note(node.pointee);
    } else if (node.kind === 'result') {
      if (node.dir === 'out') this.results.push(node);
    } else if (node.kind === 'data' && node.type.content === 'filename' && node.dir !== 'out') this.files.push(node);
  }

  private reserve_below(node: Arg): void {
    if (node.kind === 'group') for (const child of node.inner) this.reserve_below(child);
    else if (node.kind === 'union') this.reserve_below(node.inner);
    else if (node.kind === 'pointer') {
      this.note_memory(node);
      if (node.pointee !== undefined) this.reserve_below(node.pointee);
    }
  }

  private note_memory(node: PointerArg): void {
    if (node.special !== undefined) return;
    if (node.type.kind === 'vma') this.pages.note(node.address / PAGE_SIZE, node.vma_size / PAGE_SIZE);
    else if (node.pointee !== undefined) this.memory.note(node.address, size_of(node.pointee));
  }
}

/** The state before the call at `index`; of the whole program without one. */
export function state_before(
  target: Target,
  table: ChoiceTable,
  program: Program,
  index = program.calls.length,
): State {
  const state = new State(target, table);
  for (let i = 0; i < index; i++) state.add(program.calls[i]!);
  return state;
}
