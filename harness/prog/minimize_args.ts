/**
 * Makes arguments simpler: one minimiser for each kind of node. A node is found again in each copy by its path, the
 * indices from the call down. Children come after their parent: what the parent gave up need not be looked at.
 */
import { resource_fits } from '../desc/types.ts';
import type { Search } from './minimize.ts';
import {
  ANY,
  type Arg,
  type Call,
  type DataArg,
  data_size,
  default_arg,
  default_value,
  type GroupArg,
  is_any,
  is_default,
  make_special,
  type Program,
  type ResultArg,
  refer,
  unrefer,
} from './model.ts';
import { allowed } from './number.ts';
import { assign_sizes } from './size.ts';
import { children, detach, for_each_arg, replace } from './walk.ts';

type Path = readonly number[];

export class ArgMinimizer {
  /** Whether a result gave way to an earlier one: its maker may be for nothing now. */
  redirected = false;
  private readonly search: Search;
  private call = 0;

  constructor(search: Search) {
    this.search = search;
  }

  /** Every argument of every call, the last call first: what it no longer uses, earlier ones can give up. */
  run(): void {
    for (let i = this.search.best.program.calls.length - 1; i >= 0; i--) {
      this.call = i;
      const count = this.search.best.program.calls[i]!.args.length;
      for (let arg = 0; arg < count; arg++) this.node([arg]);
    }
  }

  private at(path: Path, program: Program = this.search.best.program): Arg | undefined {
    let node = program.calls[this.call]?.args[path[0]!];
    for (const index of path.slice(1)) node = node === undefined ? undefined : children(node)[index];
    return node;
  }

  /** Tries a change of the node; lengths follow it. */
  private attempt(path: Path, change: (node: Arg, program: Program) => boolean): boolean {
    return this.search.attempt((program) => {
      const node = this.at(path, program);
      if (node === undefined || !change(node, program)) return false;
      if (node.type.kind !== 'len') assign_sizes(program.calls[this.call]!);
      return true;
    });
  }

  private node(path: Path): void {
    const node = this.at(path);
    if (node === undefined) return;
    switch (node.kind) {
      case 'number':
        this.number(path);
        return;
      case 'result':
        if (this.attempt(path, forget_result) || !this.attempt(path, use_earliest_result)) return;
        this.redirected = true;
        return;
      case 'data':
        this.data(path, node);
        return;
      case 'pointer':
        this.pointer(path);
        break;
      case 'group':
        this.group(path, node);
        break;
      case 'union':
        this.union(path);
        break;
    }
    const count = children(this.at(path) ?? node).length;
    for (let i = 0; i < count; i++) this.node([...path, i]);
  }

  /** The default value; if that will not do, one bit less. */
  private number(path: Path): void {
    const to = (value: (old: bigint) => bigint) => (node: Arg) => {
      if (node.kind !== 'number' || node.dir === 'out' || node.type.kind === 'const' || node.type.kind === 'len')
        return false;
      const next = value(node.value);
      if (next === node.value || !allowed(node.type, next)) return false;
      node.value = next;
      return true;
    };
    const node = this.at(path);
    if (
      node?.kind !== 'number' ||
      this.attempt(
        path,
        to(() => default_value(node.type)),
      )
    )
      return;
    if (node.type.kind !== 'flags' || !node.type.bitmask) return;
    for (const bit of node.type.values)
      this.attempt(
        path,
        to((old) => ((old & bit) === bit ? old & ~bit : old)),
      );
  }

  /** Null where the call takes it; else the default pointee. */
  private pointer(path: Path): void {
    const node = this.at(path);
    if (node?.kind !== 'pointer' || node.special === 0n) return;
    const { type, dir } = node;
    const to_null = (copy: Arg): boolean => {
      replace(copy, make_special(type, dir, 0n));
      return true;
    };
    if (type.optional && this.attempt(path, to_null)) return;
    if (node.pointee === undefined || is_default(node.pointee) || type.kind === 'vma') return;
    this.attempt(path, (copy) => {
      if (copy.kind !== 'pointer' || copy.pointee === undefined) return false;
      detach(copy.pointee);
      copy.pointee = default_arg(type.elem, type.dir);
      return true;
    });
  }

  /** Arrays lose all elements they can, then half of them, then one at a time. */
  private group(path: Path, node: GroupArg): void {
    if (node.type.kind !== 'array') return;
    const min = is_any(node) ? 0 : node.type.min;
    for (let step = node.inner.length - min; step >= 1; step = Math.floor(step / 2))
      for (let start = this.length(path) - step; start >= 0; start -= step)
        this.attempt(path, (copy) => copy.kind === 'group' && remove_elements(copy, start, step, min));
  }

  private length(path: Path): number {
    const node = this.at(path);
    return node?.kind === 'group' ? node.inner.length : 0;
  }

  private union(path: Path): void {
    this.attempt(path, first_option);
  }

  /** The default contents; else, of a blob, the shortest beginning that will do, with as many zeros as will do. */
  private data(path: Path, node: DataArg): void {
    if (this.attempt(path, plain_data) || node.type.content !== 'blob') return;
    for (let step = data_size(node) - node.type.min; step >= 1; step = Math.floor(step / 2))
      while (this.attempt(path, (copy) => shorten(copy, step)));
    if (node.dir === 'out') return;
    const size = data_size(this.at(path) as DataArg);
    for (let step = size; step >= 1; step = Math.floor(step / 2))
      for (let start = 0; start < size; start += step) this.attempt(path, (copy) => clear(copy, start, step));
  }
}

/** A result that something else uses keeps its node; it only stops using others. */
function forget_result(node: Arg): boolean {
  if (node.kind !== 'result' || node.dir === 'out' || is_default(node)) return false;
  unrefer(node);
  return true;
}

/** A result that calls hand on (dup) is mostly as good as the first of them made it. */
function use_earliest_result(node: Arg, { calls }: Program): boolean {
  if (node.kind !== 'result' || node.source === undefined) return false;
  const { source, type } = node;
  const first = calls.findIndex(({ result }) => result && resource_fits(result.type.resource, type.resource));
  if (first < 0 || first >= calls.findIndex((call) => makes(call, source))) return false;
  unrefer(node);
  refer(node, calls[first]!.result!);
  return true;
}

function makes(call: Call, result: ResultArg): boolean {
  let found = false;
  for_each_arg(call, (node) => {
    found ||= node === result;
  });
  return found;
}

function first_option(node: Arg): boolean {
  if (node.kind !== 'union' || is_default(node) || is_any_element(node)) return false;
  replace(node, default_arg(node.type, node.dir));
  return true;
}

function plain_data(node: Arg): boolean {
  if (node.kind !== 'data' || is_default(node)) return false;
  replace(node, default_arg(node.type, node.dir));
  return true;
}

function is_any_element(node: Arg): boolean {
  return node.kind === 'union' && node.type.name === ANY;
}

function remove_elements(node: GroupArg, start: number, count: number, min: number): boolean {
  if (start < 0 || start + count > node.inner.length || node.inner.length - count < min) return false;
  for (const gone of node.inner.splice(start, count)) detach(gone);
  return true;
}

function shorten(node: Arg, count: number): boolean {
  if (node.kind !== 'data') return false;
  const left = data_size(node) - count;
  if (left < node.type.min) return false;
  if (node.dir === 'out') node.out_size = left;
  else node.bytes = node.bytes.slice(0, left);
  return true;
}

function clear(node: Arg, start: number, count: number): boolean {
  if (node.kind !== 'data' || node.bytes.subarray(start, start + count).every((byte) => byte === 0)) return false;
  node.bytes = node.bytes.slice().fill(0, start, start + count);
  return true;
}
