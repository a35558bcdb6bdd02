/** Walks over the nodes of calls, copies of programs, and changes that keep references whole. */
import { type Arg, type Call, type CallProperties, type Program, type ResultArg, refer, unrefer } from './model.ts';

/** Calls `visit` for the node and each node below it, the node first. */
export function for_each_node(node: Arg, visit: (node: Arg) => void): void {
  visit(node);
  for (const child of children(node)) for_each_node(child, visit);
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
  const properties: CallProperties = { ...call.properties };
  const result = call.result === undefined ? undefined : (clone_arg(call.result, copies) as ResultArg);
  return { description: call.description, args: call.args.map((node) => clone_arg(node, copies)), result, properties };
}

export function clone_arg(node: Arg, copies: Map<ResultArg, ResultArg>): Arg {
  switch (node.kind) {
    case 'number':
      return { ...node };
    case 'result':
      return clone_result(node, copies);
    case 'data':
      return { ...node, bytes: node.bytes.slice() };
    case 'group':
      return { ...node, inner: node.inner.map((child) => clone_arg(child, copies)) };
    case 'union':
      return { ...node, inner: clone_arg(node.inner, copies) };
    case 'pointer':
      return { ...node, pointee: node.pointee === undefined ? undefined : clone_arg(node.pointee, copies) };
  }
}

function clone_result(node: ResultArg, copies: Map<ResultArg, ResultArg>): ResultArg {
  const copy: ResultArg = { ...node, source: undefined, users: new Set() };
  copies.set(node, copy);
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
