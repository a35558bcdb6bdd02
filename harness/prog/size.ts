/** Where nodes lie in memory, how large they are, and the lengths that depend on it. */
import {
  align_up,
  alignment_of,
  type Field,
  fixed_size,
  type LenType,
  POINTER_SIZE,
  type Type,
} from '../desc/types.ts';
import { type Arg, type Call, data_size, type GroupArg, is_any, type NumberArg } from './model.ts';
import { for_each_node } from './walk.ts';

/** Size in memory, in bytes. */
export function size_of(node: Arg): number {
  switch (node.kind) {
    case 'number':
      return node.type.size;
    case 'result':
      return node.type.resource.size;
    case 'pointer':
      return POINTER_SIZE;
    case 'data':
      return data_size(node);
    case 'group':
      return group_size(node);
    case 'union':
      return fixed_size(node.type) ?? size_of(node.inner);
  }
}

function group_size(node: GroupArg): number {
  const { inner } = node;
  const tight = is_tight(node);
  let end = 0;
  for (let i = 0; i < inner.length; i++) {
    const child = inner[i]!;
    if (!tight) end = align_up(end, alignment_of(child.type));
    end += size_of(child);
  }
  return align_up(end, group_alignment(node));
}

/** True when there is no padding between the children. */
export function is_tight(node: GroupArg): boolean {
  return node.type.kind === 'struct' ? node.type.packed : is_any(node);
}

function group_alignment(node: GroupArg): number {
  return is_any(node) ? 1 : alignment_of(node.type);
}

/** Calls `visit` for each child of a struct or an array with its offset in it; answers where the last one ends. */
export function for_each_offset(node: GroupArg, visit: (child: Arg, offset: number) => void): number {
  const tight = is_tight(node);
  let offset = 0;
  for (const child of node.inner) {
    if (!tight) offset = align_up(offset, alignment_of(child.type));
    visit(child, offset);
    offset += size_of(child);
  }
  return offset;
}

/** The type of each child of a struct or an array. */
export function child_type(node: GroupArg, index: number): Type {
  return node.type.kind === 'array' ? node.type.elem : node.type.fields[index]!.type;
}

/** Sets every length of the call to what its target has now. */
export function assign_sizes(call: Call): void {
  const { args } = call;
  assign_siblings(args, call.description.args, undefined);
  for (let i = 0; i < args.length; i++) assign_below(args[i]!);
}

function assign_below(node: Arg): void {
  if (node.kind === 'group') {
    const { inner } = node;
    if (node.type.kind === 'struct') assign_siblings(inner, node.type.fields, node);
    for (let i = 0; i < inner.length; i++) assign_below(inner[i]!);
  } else if (node.kind === 'union') assign_below(node.inner);
  else if (node.kind === 'pointer' && node.pointee !== undefined) assign_below(node.pointee);
}

function assign_siblings(nodes: readonly Arg[], fields: readonly Field[], parent: GroupArg | undefined): void {
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i]!;
    if (node.kind !== 'number' || node.type.kind !== 'len') continue;
    const value = length_of(node.type, nodes, fields, parent);
    if (value !== undefined) node.value = BigInt(value);
  }
}

function length_of(
  type: LenType,
  nodes: readonly Arg[],
  fields: readonly Field[],
  parent: GroupArg | undefined,
): number | undefined {
  const [first = '', ...rest] = path_of(type.target);
  if (first === 'parent') return parent === undefined ? undefined : measure(parent, type.unit);
  const index = fields.findIndex(({ name }) => name === first);
  let target = nodes[index];
  if (type.unit === 'offset')
    return parent === undefined || target === undefined ? undefined : offset_in(parent, target);
  for (const name of rest) target = target === undefined ? undefined : descend(target, name);
  return target === undefined ? undefined : measure(target, type.unit);
}

/** Targets are a few dozen texts, and looked at whenever a call changes. */
const paths = new Map<string, readonly string[]>();

function path_of(target: string): readonly string[] {
  let path = paths.get(target);
  if (path === undefined) {
    path = target.split('.');
    paths.set(target, path);
  }
  return path;
}

function offset_in(parent: GroupArg, target: Arg): number {
  let found = 0;
  for_each_offset(parent, (child, offset) => {
    if (child === target) found = offset;
  });
  return found;
}

/** The field `name` of a struct, or of the struct that a pointer leads to. */
function descend(node: Arg, name: string): Arg | undefined {
  if (node.kind === 'pointer') return node.pointee === undefined ? undefined : descend(node.pointee, name);
  if (node.kind !== 'group' || node.type.kind !== 'struct') return undefined;
  return node.inner[node.type.fields.findIndex((field) => field.name === name)];
}

/** A pointer stands for what it leads to; null leads to nothing. */
function measure(node: Arg, unit: LenType['unit']): number {
  if (node.kind === 'pointer') {
    if (node.type.kind === 'vma') return unit === 'bits' ? node.vma_size * 8 : node.vma_size;
    return node.pointee === undefined ? 0 : measure(node.pointee, unit);
  }
  if (unit === 'count' && node.kind === 'group' && node.type.kind === 'array' && !is_any(node))
    return node.inner.length;
  return unit === 'bits' ? size_of(node) * 8 : size_of(node);
}

/** The lengths of a call, for a mutator that wants to make one wrong. */
export function lengths_of(call: Call): NumberArg[] {
  const found: NumberArg[] = [];
  for (const arg of call.args)
    for_each_node(arg, (node) => {
      if (node.kind === 'number' && node.type.kind === 'len') found.push(node);
    });
  return found;
}
