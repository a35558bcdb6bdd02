/** The instrumenter: what it reports, that behaviour stays, and that every emitted module of the kernel takes it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAst } from 'rollup/parseAst';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Instrumented, instrument_module, type Place } from '../../../engine/kcov/instrument.ts';
import { assign_slots, COMPARISONS_FROM, pc_of } from '../../../engine/kcov/numbering.ts';
import { is_kernel_source } from '../../../engine/kcov/selection.ts';
import { REPOSITORY } from '../../support/guest.ts';

const SLOT = 5;

/** A source map that maps every line to itself. */
function identity_map(code: string): string {
  const lines = code.split('\n').map((_, i) => (i === 0 ? 'AAAA' : 'AACA'));
  return JSON.stringify({ version: 3, sources: ['x.ts'], mappings: lines.join(';') });
}

function instrument(code: string): Instrumented {
  const program = parseAst(code);
  return instrument_module({ path: 'x.ts', code, map: identity_map(code), program, trace_module: 'trace' }, SLOT);
}

/** The texts that a place covers, one for each. */
function texts(code: string, places: readonly Place[]): string[] {
  const starts = [0];
  for (let at = code.indexOf('\n'); at >= 0; at = code.indexOf('\n', at + 1)) starts.push(at + 1);
  const offset = (line: number, column: number): number => (starts[line - 1] as number) + column - 1;
  return places.map((place) => code.slice(offset(place.line, place.column), offset(place.end_line, place.end_column)));
}

interface Run {
  readonly result: unknown;
  /** What was reported, in order: texts of blocks, and comparisons as [text, left, right]. */
  readonly blocks: string[];
  readonly comparisons: unknown[][];
}

/** Runs function `f` of a source with arguments, instrumented; and checks that the original answers the same. */
function run(code: string, ...given: unknown[]): Run {
  const done = instrument(code);
  const blocks: string[] = [];
  const comparisons: unknown[][] = [];
  const block_texts = texts(code, done.blocks);
  const comparison_texts = texts(code, done.comparisons);
  const text_of = (pc: number): string => comparison_texts[(pc >>> 0) - pc_of(SLOT, COMPARISONS_FROM)] as string;
  const compared = (kind: string) => (left: unknown, right: unknown, pc: number) =>
    comparisons.push([text_of(pc), kind, left, right]);
  const hooks = {
    kcov_state: new Int32Array([0, 0, 1]),
    kcov_pc: (pc: number) => blocks.push(block_texts[(pc >>> 0) - pc_of(SLOT, 0)] as string),
    kcov_cmp: compared('cmp'),
    kcov_cmp_const_left: compared('const left'),
    kcov_cmp_const_right: compared('const right'),
    kcov_switch: compared('switch'),
  };
  const execute = (text: string, names: readonly string[], values: readonly unknown[]): unknown =>
    new Function(...names, `${text.replace(/^import .*? from ".*?"; /, '')}; return f;`)(...values)(
      ...structuredClone(given),
    );
  const result = execute(done.code, Object.keys(hooks), Object.values(hooks));
  assert.equal(result, execute(code, [], []));
  // Without comparisons none is reported; blocks are, to nowhere (kernel/kcov_trace.ts).
  const reported = comparisons.length;
  const off = { ...hooks, kcov_pc: () => {}, kcov_state: new Int32Array(3) };
  assert.equal(execute(done.code, Object.keys(off), Object.values(off)), result);
  assert.is(comparisons.length, reported);
  return { result, blocks, comparisons };
}

test('blocks of if: arms, the missing else, the join where it can be left', () => {
  const code =
    'function f(a) { let x = 1; if (a === 1) x = 2; if (a === 2) return 7; x++; if (a > 5) { x = 9; } return x; }';
  const whole_end = 'x++; if (a > 5) { x = 9; } return x;';
  const head = 'let x = 1; if (a === 1) x = 2; if (a === 2';
  assert.equal(run(code, 0).blocks, [head, '', whole_end, '']);
  assert.equal(run(code, 1).blocks, [head, 'x = 2;', whole_end, '']);
  assert.equal(run(code, 2).blocks, [head, '', 'return 7;']);
  assert.equal(run(code, 8).blocks, [head, '', whole_end, 'x = 9;']);
});

test('an if without else that ends its list has an else', () => {
  const code = 'function f(a) { for (const x of a) { if (x === 3) return x; } }';
  assert.equal(run(code, [1, 3]).blocks, ['for (const x of a', 'if (x === 3', '', 'if (x === 3', 'return x;']);
});

test('bare arms, else if, nested dangling else', () => {
  const code = `function f(a, b) {
  if (a) if (b) return 1; else return 2;
  else if (b) return 3;
  return 4;
}`;
  const results = [
    [1, 1],
    [1, 0],
    [0, 1],
    [0, 0],
  ].map(([a, b]) => run(code, a, b).result);
  assert.equal(results, [1, 2, 3, 4]);
  assert.equal(run(code, 0, 0).blocks, ['if (a', 'if (b', '', 'return 4;']);
});

test('arms of expressions', () => {
  const code = 'function f(a, b) { const c = a && b; const d = a || b; const e = a ?? b; return c ? (d, e) : { d }; }';
  assert.equal(run(code, 1, 2).blocks.slice(1), ['b', 'd, e']);
  assert.equal(run(code, 0, 2).blocks.slice(1), ['b', '{ d }']);
  assert.equal(run('function f(a) { a.x ||= 3; a.y ??= 4; a.z &&= 5; return a; }', { z: 1 }).result, {
    x: 3,
    y: 4,
    z: 5,
  });
});

test('loops: bodies, labels, do while, continue', () => {
  const code = `function f(n) {
  let sum = 0;
  outer: for (let i = 0; i < n; i++) {
    for (const j of [1, 2, 3]) {
      if (j === 2) continue;
      if (i === 3) break outer;
      sum += i * j;
    }
  }
  do sum++; while (sum < 10);
  while (sum > 100) sum -= 7;
  for (const key in { a: 1 }) sum += key.length;
  return sum;
}`;
  assert.is(run(code, 2).result, 11);
  assert.is(run(code, 60).result, run(code, 60).result);
});

test('switch: cases that fall through, one comparison for all', () => {
  const code = `const B = 2; const D = 4;
function f(a) {
  switch (a & 7) {
    case 1:
    case B:
      return 'low';
    case 3: {
      a = 0;
    }
    case D:
      return 'fell';
    default:
      return 'other';
  }
}`;
  assert.equal(
    [1, 2, 3, 4, 5].map((a) => run(code, a).result),
    ['low', 'low', 'fell', 'fell', 'other'],
  );
  assert.equal(run(code, 3).blocks, ['switch (a & 7', 'a = 0;', "return 'fell';"]);
  assert.equal(run(code, 12).comparisons, [['switch (a & 7', 'switch', 4, [1, 2, 3, 4]]]);
});

test('try, catch, finally, throw', () => {
  const code = `function f(a) {
  try {
    if (a) throw new Error('x');
    a = 1;
  } catch (e) {
    a = e.message;
  } finally {
    a += '!';
  }
  return a;
}`;
  assert.is(run(code, 0).result, '1!');
  assert.equal(run(code, 1).blocks.slice(1), ["throw new Error('x');", 'a = e.message;', "a += '!';", 'return a;']);
});

test('functions of every kind: arrows, methods, getters, generators, async', () => {
  const code = `class C {
#p = 4;
q = (() => 1)();
constructor(x) { this.x = x; }
get y() { return this.x < 3 ? 1 : 2; }
static z(a) { return (b) => ({ a, b }); }
*g() { for (const i of [1, 2]) yield i > 1; }
p() { return this.#p === 4; }
}
function f(x) {
  const c = new C(x);
  const pick = v => // why
    v;
  return [c.y, C.z(1)(2), [...c.g()], c.q, c.p(), pick(3), [3, 1, 2].sort((a, b) => a - b)];
}`;
  assert.equal(run(code, 2).result, [1, { a: 1, b: 2 }, [false, true], 1, true, 3, [1, 2, 3]]);
  const names = new Set(instrument(code).blocks.map(({ function_name }) => function_name));
  assert.equal(
    [...names].sort(),
    ['C.constructor', 'C.g', 'C.p', 'C.y', 'C.z', 'C.z.anonymous', 'f', 'f.anonymous', 'f.pick', 'C.q'].sort(),
  );
});

test('comparisons: operands once, in order, constants told', () => {
  const code = `const LIMIT = 10; const A = 1; const B = 2; const log = [];
const say = (x) => { log.push(x); return x; };
function f(n, o) {
  const r = [say(n) < LIMIT, LIMIT > say(n + 1), say(n) === say(o.x), (n | 1) !== (A | B), o.x >= n, say(1) <= o.x];
  return [r, log];
}`;
  const { result, comparisons } = run(code, 3, { x: 3 });
  assert.equal(result, [
    [true, true, true, false, true, true],
    [3, 4, 3, 3, 1],
  ]);
  assert.equal(comparisons, [
    ['say(n) < LIMIT', 'const right', 3, 10],
    ['LIMIT > say(n + 1)', 'const left', 10, 4],
    ['say(n) === say(o.x)', 'cmp', 3, 3],
    ['(n | 1) !== (A | B)', 'const right', 3, 3],
    ['o.x >= n', 'cmp', 3, 3],
    ['say(1) <= o.x', 'cmp', 1, 3],
  ]);
});

test('comparisons within comparisons, and names that the right side changes', () => {
  const code =
    'function f(a, b) { const x = (a < b) === (b < (a === 1 ? 5 : 6)); const y = a < (a = 9); return [x, y, a]; }';
  assert.equal(run(code, 1, 2).result, [true, true, 9]);
  assert.equal(run(code, 1, 2).comparisons.length, 5);
});

test('comparisons that have no numbers, constants, assertions and build switches are left alone', () => {
  const code = `const CHECKED = false; const A = 1; const assert = Boolean;
function f(a) {
  if (CHECKED) a = a === 5;
  assert(a === 7 && a > 1);
  return [a === null, a === 'x', typeof a === 'number', A === 1, a === undefined];
}`;
  const { comparisons, blocks } = run(code, 7);
  assert.equal(comparisons, []);
  assert.equal(blocks, [code.slice(code.indexOf('if (CHECKED'), code.lastIndexOf('\n'))]);
});

test('a file has no more points than its slot has numbers', () => {
  const code = `function f(a) { ${'a && a; '.repeat(COMPARISONS_FROM)} }`;
  assert.throws(() => instrument(code), /split the file/);
});

test('slots stay while the path does, and do not meet', () => {
  const paths = Array.from({ length: 3000 }, (_, i) => `engine/x/file_${i}.ts`);
  const slots = assign_slots(paths);
  assert.is(new Set(slots.values()).size, paths.length);
  assert.is(assign_slots(paths.slice(0, 1)).get('engine/x/file_0.ts'), slots.get('engine/x/file_0.ts'));
  for (const slot of slots.values()) assert.ok(pc_of(slot, 0) > 0x8000_0000);
});

/** Every emitted module of the kernel with its TypeScript. */
function kernel_modules(): { path: string; source: string; code: string; map: string }[] {
  const dist = join(REPOSITORY, 'dist');
  return readdirSync(join(dist, 'engine'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => `engine/${name.replace(/\.js$/, '.ts')}`)
    .filter(is_kernel_source)
    .map((path) => {
      const emitted = join(dist, path.replace(/\.ts$/, '.js'));
      const source = readFileSync(join(REPOSITORY, path), 'utf8');
      return { path, source, code: readFileSync(emitted, 'utf8'), map: readFileSync(`${emitted}.map`, 'utf8') };
    });
}

test('the whole kernel: the result parses, and places begin and end at tokens of the TypeScript', () => {
  const modules = kernel_modules();
  assert.ok(modules.length > 100);
  const wrong: string[] = [];
  let blocks = 0;
  for (const { path, source, code, map } of modules) {
    const program = parseAst(code);
    const done = instrument_module({ path, code, map, program, trace_module: './trace.js' }, SLOT);
    parseAst(done.code);
    blocks += done.blocks.length;
    for (const places of [done.blocks, done.comparisons])
      texts(source, places).forEach((text, i) => {
        const { line, column, end_line, end_column } = places[i] as Place;
        const before = source.split('\n')[line - 1]?.charAt(column - 2) ?? '';
        const starts_word = !/\w/.test(before) || !/^\w/.test(text);
        if (text !== text.trim() || !starts_word) wrong.push(`${path}:${line}.${column},${end_line}.${end_column}`);
      });
  }
  assert.equal(wrong, []);
  assert.ok(blocks > 5000);
});

test.run();
