/**
 * The instrumenter: rewrites one emitted module of the kernel so that every basic block reports its program counter
 * and every comparison its operands, as GCC's -fsanitize-coverage=trace-pc,trace-cmp does for Linux.
 *
 * Blocks: function entry; the arms of if (a missing else too), ?:, &&, ||, ??, switch, loops and catch; and the place
 * where flow joins after a statement that can be left by return, throw, break or continue. Where it cannot, the block
 * before it goes on behind it: the join is reached exactly when that is (LLVM prunes the same blocks). A block's span
 * goes from its first statement to the end of its last; what lies in the span of an inner block belongs to that.
 *
 *     kcov_pc(-123);                                                            a block
 *     (k0 = left, kcov_state[2] !== 0 && kcov_cmp(k0, right, -456), k0 < right)  a comparison
 *
 * `kcov_pc` does without a test of whether the task is traced (kernel/kcov_trace.ts says why). Operands are evaluated
 * once and in order. Not instrumented: `if (CHECKED)` and `if (KCOV)`, assertions (they always hold),
 * parameters' defaults, and what runs at module load.
 */
import { KCOV_COMPARISONS_ON } from '../base/instrumented.ts';
import { child, each_child, is_identifier, list, type Node, name_of, optional } from './ast.ts';
import { case_values, is_comparison, is_constant, is_no_number, is_repeatable, operator_range } from './comparisons.ts';
import { Edits } from './edits.ts';
import { is_function, LOOPS, may_leave } from './flow.ts';
import { COMPARISONS_FROM, POINT_MASK, pc_of } from './numbering.ts';
import { SourceMap } from './source_map.ts';

/** A block or comparison: line and column count from 1, the end is exclusive. */
export interface Place {
  readonly function_name: string;
  readonly line: number;
  readonly column: number;
  readonly end_line: number;
  readonly end_column: number;
}

export interface Instrumented {
  readonly code: string;
  /** Block i has the program counter `pc_of(slot, i)`, comparison i `pc_of(slot, COMPARISONS_FROM + i)`. */
  readonly blocks: readonly Place[];
  readonly comparisons: readonly Place[];
}

export interface ModuleText {
  /** The TypeScript file, from the repository's root: for messages. */
  readonly path: string;
  readonly code: string;
  /** The compiler's source map, as JSON. */
  readonly map: string;
  /** The parsed module. */
  readonly program: unknown;
  /** Module specifier of engine/kernel/kcov_trace.js. */
  readonly trace_module: string;
}

/** Names that an instrumented module imports from engine/kernel/kcov_trace.ts. */
const IMPORTED = 'kcov_cmp, kcov_cmp_const_left, kcov_cmp_const_right, kcov_pc, kcov_state, kcov_switch';
/** Whether comparisons are traced. */
const CMP_ON = `kcov_state[${KCOV_COMPARISONS_ON}] !== 0`;
/** Conditions that are constants of the build. */
const BUILD_CONSTANTS = ['CHECKED', 'KCOV'];
const ASSERTIONS = ['assert', 'panic'];

interface Point {
  readonly function_name: string;
  readonly start: number;
  end: number;
}

/** A function being walked: how many temporaries are in use, and how many it needs. */
interface Scope {
  readonly name: string;
  used: number;
  temporaries: number;
}

/** Rewrites a module. Throws when it has more points than a file has numbers. */
export function instrument_module(module: ModuleText, slot: number): Instrumented {
  const walk = new Instrumenter(module.code, slot);
  for (const node of list(module.program as Node, 'body')) walk.visit(node, '');
  if (walk.blocks.length > COMPARISONS_FROM || walk.comparisons.length > POINT_MASK - COMPARISONS_FROM)
    throw new Error(`${module.path} has too many blocks or comparisons for its program counters: split the file`);
  const map = new SourceMap(module.map, module.code);
  const place = ({ function_name, start, end }: Point): Place => {
    const from = map.position(start);
    const last = end > start ? map.position(end - 1) : { line: from.line, column: from.column - 1 };
    return { function_name, ...from, end_line: last.line, end_column: last.column + 1 };
  };
  return {
    code: `import { ${IMPORTED} } from ${JSON.stringify(module.trace_module)}; ${walk.edits.apply(module.code)}`,
    blocks: walk.blocks.map(place),
    comparisons: walk.comparisons.map(place),
  };
}

class Instrumenter {
  readonly edits = new Edits();
  readonly blocks: Point[] = [];
  readonly comparisons: Point[] = [];
  private readonly text: string;
  private readonly slot: number;
  /** Null at module level and in class bodies, where nothing is instrumented but the functions within. */
  private scope: Scope | null = null;
  private class_name = '';

  constructor(text: string, slot: number) {
    this.text = text;
    this.slot = slot;
  }

  /** Walks an expression, declaration or simple statement; `name` is what a function in it is called. */
  visit(node: Node, name: string): void {
    const { type } = node;
    if (is_function(node)) this.visit_function(node, name);
    else if (type === 'VariableDeclarator') this.visit_named(node, 'init', name_of(child(node, 'id')));
    else if (type === 'ClassDeclaration' || type === 'ClassExpression') this.visit_class(node, name);
    else if (type === 'MethodDefinition' || type === 'Property') this.visit_member(node);
    else if (type === 'PropertyDefinition' || type === 'StaticBlock') this.outside(() => this.visit_member(node));
    else if (this.scope === null) each_child(node, (below) => this.visit(below, name));
    else if (type === 'AssignmentExpression') this.visit_assignment(node);
    else if (type === 'ConditionalExpression') this.visit_conditional(node);
    else if (type === 'LogicalExpression') this.visit_logical(node);
    else if (type === 'CallExpression') this.visit_call(node);
    else if (is_comparison(node)) this.visit_comparison(node, this.scope);
    else each_child(node, (below) => this.visit(below, ''));
  }

  private visit_named(node: Node, key: string, name: string): void {
    const value = optional(node, key);
    if (value !== null) this.visit(value, name);
  }

  private visit_class(node: Node, given: string): void {
    const outer = this.class_name;
    this.class_name = name_of(optional(node, 'id')) || given;
    for (const member of list(child(node, 'body'), 'body')) this.visit(member, '');
    this.class_name = outer;
  }

  private visit_member(node: Node): void {
    if (node.type === 'StaticBlock') return;
    const key = child(node, 'key');
    if (node.computed === true) this.visit(key, '');
    const of_class = node.type === 'Property' || this.class_name === '' ? '' : `${this.class_name}.`;
    this.visit_named(node, 'value', of_class + name_of(key));
  }

  private outside(walk: () => void): void {
    const { scope } = this;
    this.scope = null;
    walk();
    this.scope = scope;
  }

  // Functions

  private visit_function(node: Node, given: string): void {
    const own = name_of(optional(node, 'id')) || given || 'anonymous';
    const outer = this.scope;
    const scope: Scope = {
      name: outer === null ? own : `${outer.name}.${own}`,
      used: 0,
      temporaries: 0,
    };
    this.scope = scope;
    const body = child(node, 'body');
    if (body.type === 'BlockStatement') {
      const statements = list(body, 'body');
      const entry = this.new_block(statements[0] ?? body);
      const head = this.edits.open(body.start + 1, '');
      this.statements(statements, entry);
      head.text = ` ${declare(scope)}${this.report(entry)}`;
    } else {
      // An arrow's expression becomes a block, which has room for temporaries.
      const entry = this.new_block(body);
      const head = this.edits.open(this.text.lastIndexOf('=>', body.start) + 2, '');
      this.visit(body, '');
      this.edits.close(node.end, '); }');
      head.text = ` { ${declare(scope)}${this.report(entry)}return (`;
    }
    this.scope = outer;
  }

  // Blocks

  private new_block(first: Node, start = first.start): number {
    const function_name = (this.scope as Scope).name;
    return this.blocks.push({ function_name, start, end: first.end }) - 1;
  }

  private block_pc(index: number): number {
    return pc_of(this.slot, index) | 0;
  }

  private report(index: number): string {
    return `kcov_pc(${this.block_pc(index)}); `;
  }

  /**
   * Walks a list of statements, whose first ones belong to block `open` (-1: none, a new one begins). Returns the
   * block that the list ends in, -1 after a compound statement.
   */
  private statements(nodes: readonly Node[], open: number): number {
    const last = nodes.findLast(({ type }) => type !== 'FunctionDeclaration' && type !== 'ClassDeclaration');
    for (const node of nodes) open = this.statement(node, open, node === last);
    return open;
  }

  private statement(node: Node, open: number, is_last: boolean): number {
    const { type } = node;
    if (type === 'FunctionDeclaration' || type === 'ClassDeclaration') {
      this.visit(node, '');
      return open;
    }
    if (type === 'EmptyStatement') return open;
    if (type === 'BlockStatement') return this.statements(list(node, 'body'), open);
    if (type === 'LabeledStatement') return this.labeled(node, open, is_last);
    if (type === 'TryStatement') return this.visit_try(node, open);
    if (open < 0) {
      open = this.new_block(node);
      this.edits.open(node.start, this.report(open));
    }
    const block = this.blocks[open] as Point;
    block.end = node.end;
    if (type === 'IfStatement') return this.visit_if(node, block, open, is_last);
    if (type === 'SwitchStatement') return this.visit_switch(node, block);
    if (LOOPS.includes(type)) return this.visit_loop(node, block, open);
    this.visit(node, '');
    return open;
  }

  /** The block begins before the label, which must stay with its loop. */
  private labeled(node: Node, open: number, is_last: boolean): number {
    const body = child(node, 'body');
    if (open < 0) {
      open = this.new_block(body);
      this.edits.open(node.start, this.report(open));
    }
    return this.statement(body, open, is_last);
  }

  /** A statement or block that is only reached by a branch. */
  private arm(node: Node): void {
    const statements = node.type === 'BlockStatement' ? list(node, 'body') : [node];
    const block = this.new_block(statements[0] ?? node);
    if (node.type === 'BlockStatement') this.edits.open(node.start + 1, ` ${this.report(block)}`);
    else this.edits.open(node.start, `{ ${this.report(block)}`);
    this.statements(statements, block);
    if (node.type !== 'BlockStatement') this.edits.close(node.end, ' }');
  }

  private visit_if(node: Node, block: Point, open: number, is_last: boolean): number {
    const test = child(node, 'test');
    if (BUILD_CONSTANTS.some((name) => is_identifier(test, name))) return open;
    const joins_later = may_leave(node);
    if (joins_later) block.end = test.end;
    this.visit(test, '');
    this.arm(child(node, 'consequent'));
    const alternate = optional(node, 'alternate');
    if (alternate !== null) this.arm(alternate);
    else if (is_last || !joins_later) {
      const otherwise = this.new_block(node, node.end);
      this.edits.close(node.end, ` else { ${this.report(otherwise)}}`);
    }
    return joins_later ? -1 : open;
  }

  private visit_loop(node: Node, block: Point, open: number): number {
    const body = child(node, 'body');
    const head = ['init', 'left', 'right', 'test', 'update']
      .map((key) => optional(node, key))
      .filter((part) => part !== null);
    const joins_later = may_leave(node);
    // The head of a do-while comes after its body: nothing of it belongs to the block before.
    const ends = head.map(({ end }) => end).filter((end) => end < body.start);
    if (joins_later) block.end = Math.max(node.start + 'do'.length, ...ends);
    for (const part of head) this.visit(part, '');
    this.arm(body);
    return joins_later ? -1 : open;
  }

  private visit_try(node: Node, open: number): number {
    const body = child(node, 'block');
    if (open < 0) {
      open = this.new_block(list(body, 'body')[0] ?? body);
      this.edits.open(node.start, this.report(open));
    }
    this.statements(list(body, 'body'), open);
    const handler = optional(node, 'handler');
    if (handler !== null) this.arm(child(handler, 'body'));
    const finalizer = optional(node, 'finalizer');
    if (finalizer !== null) this.arm(finalizer);
    return -1;
  }

  private visit_switch(node: Node, block: Point): number {
    const value = child(node, 'discriminant');
    block.end = value.end;
    const values = case_values(this.text, node);
    const scope = this.scope as Scope;
    if (values.length > 0) {
      const t = this.take_temporary(scope);
      const report = `${CMP_ON} && kcov_switch(${t}, [${values.join(', ')}], ${this.new_comparison(node, value.end)})`;
      this.edits.open(value.start, `(${t} = (`);
      this.visit(value, '');
      this.edits.close(value.end, `), ${report}, ${t})`);
      scope.used--;
    } else this.visit(value, '');
    for (const one of list(node, 'cases')) this.statements(list(one, 'consequent'), -1);
    return -1;
  }

  // Expressions

  private branch(node: Node): void {
    const block = this.new_block(node);
    this.edits.open(node.start, `(kcov_pc(${this.block_pc(block)}), `);
    this.visit(node, '');
    this.edits.close(node.end, ')');
  }

  private visit_conditional(node: Node): void {
    this.visit(child(node, 'test'), '');
    this.branch(child(node, 'consequent'));
    this.branch(child(node, 'alternate'));
  }

  private visit_logical(node: Node): void {
    this.visit(child(node, 'left'), '');
    this.branch(child(node, 'right'));
  }

  private visit_assignment(node: Node): void {
    const left = child(node, 'left');
    const right = child(node, 'right');
    this.visit(left, '');
    if (['&&=', '||=', '??='].includes(String(node.operator))) this.branch(right);
    else this.visit(right, name_of(left));
  }

  private visit_call(node: Node): void {
    if (!ASSERTIONS.includes(name_of(child(node, 'callee')))) each_child(node, (below) => this.visit(below, ''));
  }

  // Comparisons

  private take_temporary(scope: Scope): string {
    const name = `k${scope.used++}`;
    scope.temporaries = Math.max(scope.temporaries, scope.used);
    return name;
  }

  private new_comparison(node: Node, end = node.end): number {
    const function_name = (this.scope as Scope).name;
    const index = this.comparisons.push({ function_name, start: node.start, end }) - 1;
    return pc_of(this.slot, COMPARISONS_FROM + index) | 0;
  }

  /** The text of an operand that is evaluated twice. */
  private operand(node: Node): string {
    const text = this.text.slice(node.start, node.end);
    return node.type === 'BinaryExpression' ? `(${text})` : text;
  }

  private visit_comparison(node: Node, scope: Scope): void {
    const left = child(node, 'left');
    const right = child(node, 'right');
    const nothing = is_no_number(left) || is_no_number(right) || (is_constant(left) && is_constant(right));
    if (nothing) {
      each_child(node, (below) => this.visit(below, ''));
      return;
    }
    const [from, to] = operator_range(this.text, node);
    const pc = this.new_comparison(node);
    const hook = is_constant(left) ? 'kcov_cmp_const_left' : is_constant(right) ? 'kcov_cmp_const_right' : 'kcov_cmp';
    const used = scope.used;
    // A name on the left may be changed by what is evaluated on the right, a constant may not.
    const keeps_right = is_repeatable(right);
    const keeps_left = keeps_right ? is_repeatable(left) : is_constant(left);
    const a = keeps_left ? this.operand(left) : this.take_temporary(scope);
    const b = keeps_right ? this.operand(right) : this.take_temporary(scope);
    const report = `${CMP_ON} && ${hook}(${a}, ${b}, ${pc}), ${a} ${node.operator} ${b})`;
    if (keeps_left && keeps_right) {
      this.edits.replace(node.start, node.end, `(${report}`);
    } else if (keeps_left) {
      this.edits.replace(node.start, to, `(${b} =`);
      this.visit(right, '');
      this.edits.close(node.end, `, ${report}`);
    } else if (keeps_right) {
      this.edits.open(node.start, `(${a} = `);
      this.visit(left, '');
      this.edits.replace(from, node.end, `, ${report}`);
    } else {
      this.edits.open(node.start, `(${a} = `);
      this.visit(left, '');
      this.edits.replace(from, to, `, ${b} =`);
      this.visit(right, '');
      this.edits.close(node.end, `, ${report}`);
    }
    scope.used = used;
  }
}

/** Declares a function's temporaries. */
function declare({ temporaries }: Scope): string {
  if (temporaries === 0) return '';
  return `var ${Array.from({ length: temporaries }, (_, i) => `k${i}`).join(', ')}; `;
}
