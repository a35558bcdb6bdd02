/** Where control goes: whether a statement can be left in another way than by coming to its end. */
import { each_child, type Node, optional } from './ast.ts';

const FUNCTIONS = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'];
export const LOOPS = ['ForStatement', 'ForInStatement', 'ForOfStatement', 'WhileStatement', 'DoWhileStatement'];

/** Whether a node is a function. */
export function is_function(node: Node): boolean {
  return FUNCTIONS.includes(node.type);
}

/** A loop that ends by `break` alone, if at all. */
function is_endless(node: Node): boolean {
  if (node.type === 'ForStatement') return node.test === null;
  const test = optional(node, 'test');
  return (node.type === 'WhileStatement' || node.type === 'DoWhileStatement') && test?.value === true;
}

/**
 * Whether return, throw, break or continue can lead out of a statement, or it never ends. `breaks` and `continues`:
 * a statement round it that is looked at too catches those. One with a label counts as leading out.
 */
export function may_leave(node: Node, breaks = false, continues = false): boolean {
  const { type } = node;
  if (type === 'ReturnStatement' || type === 'ThrowStatement') return true;
  if (type === 'BreakStatement') return !breaks || node.label !== null;
  if (type === 'ContinueStatement') return !continues || node.label !== null;
  if (is_function(node)) return false;
  if (is_endless(node)) return true;
  const loop = LOOPS.includes(type);
  let leaves = false;
  each_child(node, (below) => {
    leaves ||= may_leave(below, breaks || loop || type === 'SwitchStatement', continues || loop);
  });
  return leaves;
}
