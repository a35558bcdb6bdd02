/** The little of ESTree that the instrumenter needs: nodes as the bundler's parser makes them. */

/** A syntax node; `start` and `end` are offsets into the module's text. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

function is_node(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

/** The node at a key that always has one. */
export function child(node: Node, key: string): Node {
  return node[key] as Node;
}

/** The node at a key that may have none. */
export function optional(node: Node, key: string): Node | null {
  return (node[key] ?? null) as Node | null;
}

/** The list of nodes at a key. */
export function list(node: Node, key: string): readonly Node[] {
  return node[key] as readonly Node[];
}

/** Calls `visit` with each node directly below this one, in the order of the text. */
export function each_child(node: Node, visit: (below: Node) => void): void {
  for (const value of Object.values(node)) {
    if (is_node(value)) visit(value);
    else if (Array.isArray(value)) for (const item of value) if (is_node(item)) visit(item);
  }
}

/** Whether a node is an identifier of this name. */
export function is_identifier(node: Node, name: string): boolean {
  return node.type === 'Identifier' && node.name === name;
}

/** The name that a key, a binding or a callee shows; '' when it has none. */
export function name_of(node: Node | null): string {
  if (node === null) return '';
  if (node.type === 'Identifier' || node.type === 'PrivateIdentifier') return String(node.name);
  if (node.type === 'Literal') return String(node.value);
  return node.type === 'MemberExpression' && node.computed !== true ? name_of(child(node, 'property')) : '';
}

/** Where the text goes on after spaces and comments. */
export function skip_blanks(text: string, at: number): number {
  for (;;) {
    while (/\s/.test(text.charAt(at))) at++;
    if (text.startsWith('//', at)) {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    } else if (text.startsWith('/*', at)) at = text.indexOf('*/', at) + 2;
    else return at;
  }
}
