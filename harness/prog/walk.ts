/** Walks over the nodes of calls, copies of programs, and changes that keep references whole. */
import {
  type Arg,
  type Call,
  type CallProperties,
  make_data_node,
  make_group,
  make_union,
  NO_USERS,
  type Program,
  type ResultArg,
  refer,
  unrefer,
} from './model.ts';

/** Calls `visit` for the node and each node below it, the node first. */
export function for_each_node(node: Arg, visit: (node: Arg) => void): void {
  visit(node);
  if (node.kind === 'group') {
    const { inner } = node;
    for (let i = 0; i < inner.length; i++) for_each_node(inner[i]!, visit);
  } else if (node.kind === 'union') for_each_node(node.inner, visit);
  else if (node.kind === 'pointer' && node.pointee !== undefined) for_each_node(node.pointee, visit);
}

/** Calls `visit` for the result and each node of a call, in the order of the text. */
export function for_each_arg(call: Call, visit: (node: Arg) => void): void {
  if (call.result !== undefined) visit(call.result);
  for (const node of call.args) for_each_node(node, visit);
}

const NO_CHILDREN: readonly Arg[] = [];

/** The nodes directly below. */
export function children(node: Arg): readonly Arg[] {
  switch (node.kind) {
    case 'group':
      return node.inner;
    case 'union':
      return [node.inner];
    case 'pointer':
      return node.pointee === undefined ? NO_CHILDREN : [node.pointee];
    default:
      return NO_CHILDREN;
  }
}

/** A copy that shares nothing with the original but types. */
export function clone_program(program: Program): Program {
  const copies = new Map<ResultArg, ResultArg>();
  return { calls: program.calls.map((call) => clone_call(call, copies)) };
}

/** `copies` holds the results copied so far; references lead to them. A reference to any other result is dropped. */
export function clone_call(call: Call, copies: Map<ResultArg, ResultArg>): Call {
  const { description } = call;
  const properties: CallProperties = { async: call.properties.async, fail_nth: call.properties.fail_nth };
  const result = call.result === undefined ? undefined : clone_result(call.result, copies);
  return { description, args: clone_args(call.args, copies), result, properties };
}

/** Literals and loops: spread and `map` cost three times as much, and copies are half of what mutation costs. */
export function clone_arg(node: Arg, copies: Map<ResultArg, ResultArg>): Arg {
  const { dir } = node;
  switch (node.kind) {
    case 'number':
      return { kind: 'number', type: node.type, dir, value: node.value };
    case 'result':
      return clone_result(node, copies);
    case 'data': {
      // Nobody changes bytes in place: copies share them.
      return make_data_node(node.type, dir, node.bytes, node.out_size);
    }
    case 'group':
      return make_group(node.type, dir, clone_args(node.inner, copies));
    case 'union':
      return make_union(node.type, dir, node.option, clone_arg(node.inner, copies));
    case 'pointer': {
      const { type, special, address, vma_size } = node;
      const pointee = node.pointee === undefined ? undefined : clone_arg(node.pointee, copies);
      return { kind: 'pointer', type, dir, special, address, vma_size, pointee };
    }
  }
}

function clone_args(nodes: readonly Arg[], copies: Map<ResultArg, ResultArg>): Arg[] {
  const cloned: Arg[] = [];
  for (let i = 0; i < nodes.length; i++) cloned.push(clone_arg(nodes[i]!, copies));
  return cloned;
}

function clone_result(node: ResultArg, copies: Map<ResultArg, ResultArg>): ResultArg {
  const { type, dir, value, divide, add } = node;
  const copy: ResultArg = { kind: 'result', type, dir, value, source: undefined, divide, add, users: NO_USERS };
  if (node.users !== NO_USERS) copies.set(node, copy);
  if (node.source === undefined) return copy;
  const source = copies.get(node.source);
  if (source === undefined) unrefer(copy);
  else refer(copy, source);
  return copy;
}

/** Cuts every reference from and to the tree: its users get default values. */
export function detach(node: Arg): void {
  for_each_node(node, (inner) => {
    if (inner.kind !== 'result') return;
    for (const user of [...inner.users]) unrefer(user);
    if (inner.source !== undefined) unrefer(inner);
  });
}

/** Removes the call at `index`; what used its results gets default values. */
export function remove_call(program: Program, index: number): void {
  const [call] = program.calls.splice(index, 1);
  if (call === undefined) return;
  for_each_arg(call, detach_one);
}

function detach_one(node: Arg): void {
  if (node.kind !== 'result') return;
  for (const user of [...node.users]) unrefer(user);
  if (node.source !== undefined) unrefer(node);
}

/** Puts what `replacement` holds into `node`, which has the same type; users of the node's own results are cut off. */
export function replace(node: Arg, replacement: Arg): void {
  if (node.kind !== replacement.kind) throw new Error(`a ${node.kind} node cannot become a ${replacement.kind} node`);
  if (node.kind === 'result') {
    const from = replacement as ResultArg;
    const { source, divide, add, value } = from;
    if (node.source !== undefined) unrefer(node);
    if (source !== undefined) unrefer(from);
    Object.assign(node, { value, divide, add });
    if (source !== undefined) refer(node, source);
    return;
  }
  for (const child of children(node)) detach(child);
  Object.assign(node, replacement);
}
