/** What the instrumenter has to know of a comparison's operands. */
import { child, list, type Node, skip_blanks } from './ast.ts';

const OPERATORS = new Set(['===', '!==', '<', '<=', '>', '>=']);

/** Whether a node compares two values. */
export function is_comparison(node: Node): boolean {
  return node.type === 'BinaryExpression' && OPERATORS.has(String(node.operator));
}

/** Names in capitals are constants, by the project's rules. */
function is_constant_name(name: unknown): boolean {
  return /^[A-Z][A-Z0-9_]*$/.test(String(name));
}

/** Whether an operand is a constant of the source: a number, a name in capitals, or made of those. */
export function is_constant(node: Node): boolean {
  if (node.type === 'Literal') return typeof node.value === 'number' || typeof node.value === 'bigint';
  if (node.type === 'Identifier') return is_constant_name(node.name);
  if (node.type === 'UnaryExpression') return node.operator !== 'typeof' && is_constant(child(node, 'argument'));
  if (node.type === 'BinaryExpression') return is_constant(child(node, 'left')) && is_constant(child(node, 'right'));
  return node.type === 'MemberExpression' && node.computed === false && is_constant(child(node, 'property'));
}

/** Whether an operand is never a number, so that the comparison has nothing to report. */
export function is_no_number(node: Node): boolean {
  if (node.type === 'Literal') return typeof node.value !== 'number' && typeof node.value !== 'bigint';
  if (node.type === 'TemplateLiteral' || node.type === 'ArrayExpression' || node.type === 'ObjectExpression')
    return true;
  if (node.type === 'UnaryExpression') return ['typeof', '!', 'void'].includes(String(node.operator));
  return node.type === 'Identifier' && node.name === 'undefined';
}

/** Whether an operand may be evaluated twice: a name, a constant, or a property of one. */
export function is_repeatable(node: Node): boolean {
  if (node.type === 'Identifier' || node.type === 'ThisExpression' || is_constant(node)) return true;
  return (
    node.type === 'MemberExpression' &&
    node.computed === false &&
    child(node, 'property').type !== 'PrivateIdentifier' &&
    is_repeatable(child(node, 'object'))
  );
}

/** The range of a comparison's operator: what lies before and after it, parentheses included, are the operands. */
export function operator_range(text: string, node: Node): readonly [from: number, to: number] {
  let at = child(node, 'left').end;
  // The left operand's closing parentheses are not part of its node.
  for (at = skip_blanks(text, at); text.charAt(at) === ')'; at = skip_blanks(text, at + 1));
  return [at, at + String(node.operator).length];
}

/** The texts of a switch's case values that are constants or names; others are not reported. */
export function case_values(text: string, node: Node): string[] {
  return list(node, 'cases')
    .map((arm) => arm.test as Node | null)
    .filter((test) => test !== null)
    .filter((test) => is_repeatable(test) && !is_no_number(test))
    .map((test) => text.slice(test.start, test.end));
}
