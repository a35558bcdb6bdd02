/** What the calls before a place in a program have made and used: the generator refers to it. */
import type { Target } from '../desc/target.ts';
import { type Resource, resource_fits, resource_root } from '../desc/types.ts';
import type { ChoiceTable } from './choice_table.ts';
import { DataMemory, PageMemory } from './memory.ts';
import { type Arg, type Call, type DataArg, PAGE_SIZE, type Program, type ResultArg } from './model.ts';
import { size_of } from './size.ts';
import { for_each_arg } from './walk.ts';

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
  add(call: Call): void {
    for_each_arg(call, (node) => this.note(node));
  }

  /** Takes the memory of a call that is about to change: its new pointees go elsewhere. */
  reserve(call: Call): void {
    for_each_arg(call, (node) => this.note_memory(node));
  }

  /** What is usable as the resource. */
  usable(resource: Resource): ResultArg[] {
    return this.results.filter((node) => resource_fits(node.type.resource, resource));
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
    if (node.kind === 'result' && node.dir === 'out') this.results.push(node);
    else if (node.kind === 'data' && node.type.content === 'filename' && node.dir !== 'out') this.files.push(node);
    else this.note_memory(node);
  }

  private note_memory(node: Arg): void {
    if (node.kind !== 'pointer' || node.special !== undefined) return;
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
  for (const call of program.calls.slice(0, index)) state.add(call);
  return state;
}
