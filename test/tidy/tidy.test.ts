/**
 * The design's checkable rules. Each test collects every violation before it fails, so that one run
 * shows all there is to mend.
 */
import { posix } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { functions_of, imports_of, type Source, sources, strip_comments } from './source.ts';

const engine = sources('engine');
const all = sources('engine', 'harness', 'bench', 'bin', 'test');
const by_path = new Map(all.map((source) => [source.path, source]));

/** Layer of each folder of engine/ (ARCHITECTURE.md, "Layers"). */
const LAYERS: Readonly<Record<string, number>> = {
  base: 0,
  abi: 0,
  heap: 1,
  time: 2,
  machine: 2,
  x86: 2,
  wasm: 2,
  platform: 3,
  vfs: 4,
  mm: 5,
  kernel: 6,
  loader: 7,
  fs: 7,
  socket: 7,
  syscalls: 8,
  trace: 8,
  snapshot: 8,
  sentry: 9,
  runtime: 10,
  kcov: 10,
  host: 10,
};
/** Who may import engine/host. */
const HOST_IMPORTERS = ['sentry', 'runtime', 'host'];
/** Files of a folder's own layer may be used by their siblings of equal layer only along these edges. */
const SIBLINGS: Readonly<Record<string, readonly string[]>> = {
  abi: ['base'],
  time: [],
  x86: ['wasm', 'machine'],
  wasm: [],
  machine: [],
  loader: ['fs'],
  syscalls: ['snapshot'],
  trace: ['syscalls'],
  snapshot: [],
  host: ['runtime', 'kcov'],
  runtime: ['host', 'kcov'],
  kcov: [],
};

function report(violations: readonly string[]): void {
  assert.is(violations.length, 0, `\n  ${violations.join('\n  ')}\n`);
}

function folder_of(path: string): string {
  const parts = path.split('/');
  return parts[0] === 'engine' && parts.length > 2 ? (parts[1] as string) : '';
}

function target_of(source: Source, specifier: string): string {
  return posix.join(posix.dirname(source.path), specifier);
}

function layer_violation(from: string, target: string): string {
  const to = folder_of(target);
  if (from === to || to === '') return '';
  if (to === 'host') return HOST_IMPORTERS.includes(from) ? '' : 'engine/host is for sentry and runtime';
  const from_layer = LAYERS[from];
  const to_layer = LAYERS[to];
  if (from_layer === undefined) return `folder ${from} has no layer`;
  if (to_layer === undefined) return `folder ${to} has no layer`;
  if (target.endsWith('.layout.ts')) return '';
  if (to_layer < from_layer) return '';
  if (to_layer === from_layer && (SIBLINGS[from]?.includes(to) ?? false)) return '';
  return `L${from_layer} ${from} imports L${to_layer} ${to}`;
}

test('a folder imports only from itself and lower layers', () => {
  const violations: string[] = [];
  for (const source of engine) {
    const from = folder_of(source.path);
    if (from === '') continue;
    for (const { specifier } of imports_of(source)) {
      if (!specifier.startsWith('.')) continue;
      const target = target_of(source, specifier);
      if (!target.startsWith('engine/')) violations.push(`${source.path}: imports ${target}, outside the engine`);
      const why = layer_violation(from, target);
      if (why !== '') violations.push(`${source.path}: ${why} (${specifier})`);
    }
  }
  report(violations);
});

/** Notes the cycles of imports at run time that begin with `path`, which leads to `source`. */
function find_cycles(source: Source, path: Source[], seen: Set<Source>, found: string[]): void {
  const at = path.indexOf(source);
  if (at >= 0) found.push([...path.slice(at), source].map((file) => file.path).join(' -> '));
  if (seen.has(source)) return;
  seen.add(source);
  for (const { specifier, type_only } of imports_of(source)) {
    const target = type_only ? undefined : by_path.get(target_of(source, specifier));
    if (target !== undefined) find_cycles(target, [...path, source], seen, found);
  }
}

test('no files import each other in a cycle', () => {
  const seen = new Set<Source>();
  const found: string[] = [];
  for (const source of all) find_cycles(source, [], seen, found);
  report(found);
});

test('layouts import only base, abi, heap and other layouts', () => {
  const violations: string[] = [];
  for (const source of engine.filter(({ path }) => path.endsWith('.layout.ts')))
    for (const { specifier } of imports_of(source)) {
      const target = target_of(source, specifier);
      if (!target.endsWith('.layout.ts') && !['base', 'abi', 'heap'].includes(folder_of(target)))
        violations.push(`${source.path}: ${specifier}`);
    }
  report(violations);
});

test('only engine/host and the command-line side import node:*', () => {
  const violations: string[] = [];
  for (const source of engine)
    for (const { specifier } of imports_of(source))
      if (specifier.startsWith('node:') && folder_of(source.path) !== 'host')
        violations.push(`${source.path}: ${specifier}`);
  report(violations);
});

test('time, randomness and the process are asked for in engine/host only', () => {
  const banned =
    /\b(Date\.now|new Date\(|performance\.now|Math\.random|crypto\.|process\.|setTimeout|setInterval|Buffer\.)/;
  const violations: string[] = [];
  for (const source of engine) {
    if (['host', 'runtime', ''].includes(folder_of(source.path))) continue;
    strip_comments(source.text)
      .split('\n')
      .forEach((line, i) => {
        const match = banned.exec(line);
        if (match !== null) violations.push(`${source.path}:${i + 1}: ${match[0]}`);
      });
  }
  report(violations);
});

test('files are at most 700 lines, functions under 70', () => {
  const violations: string[] = [];
  for (const source of all) {
    const lines = source.text.split('\n').length - 1;
    if (lines > 700) violations.push(`${source.path}: ${lines} lines`);
    for (const span of functions_of(source))
      if (span.lines >= 70) violations.push(`${source.path}:${span.line}: ${span.name} has ${span.lines} lines`);
  }
  report(violations);
});

test('file names are snake_case', () => {
  const violations = all
    .filter(({ path }) => !/^[a-z0-9_]+(\.layout|\.test|\.d)?\.ts$/.test(posix.basename(path)))
    .map(({ path }) => path);
  report(violations);
});

test('no enums, namespaces, default exports or unfinished marks', () => {
  const rules: readonly (readonly [RegExp, string])[] = [
    [/^\s*(export\s+)?(const\s+)?enum\s/m, 'enum'],
    [/^\s*(export\s+)?namespace\s/m, 'namespace'],
    [/^export default\b/m, 'default export'],
    [/\b(TODO|FIXME|XXX|HACK)\b/, 'mark of unfinished work'],
    [/@ts-(ignore|nocheck)/, 'silenced compiler'],
    [/\btest\.(only|skip)\(/, 'test switched off'],
  ];
  const violations: string[] = [];
  for (const source of all) {
    if (source.path.startsWith('test/tidy/') || source.path.endsWith('.d.ts')) continue;
    for (const [pattern, name] of rules) if (pattern.test(source.text)) violations.push(`${source.path}: ${name}`);
  }
  report(violations);
});

/** Collections that are no caches of a machine: filled while modules load, or by properties of instructions alone. */
const TABLES = [
  'engine/heap/layout.ts',
  'engine/vfs/device.ts',
  'engine/fs/pseudo/node.ts',
  'engine/runtime/signals.ts',
  'engine/wasm/opcodes.ts',
  'engine/x86/row.ts',
  'engine/x86/table.ts',
  'engine/platform/jit/flag_state.ts',
];

test('collections of a module are registered caches (base/caches.ts) or tables', () => {
  const collection = /^(?:export )?(?:const|let) \w+[^=\n]*= new (?:Weak)?(?:Map|Set)(?:<.*>)?\(\);/m;
  const suspects = engine.filter(({ text }) => collection.test(text));
  assert.ok(suspects.some(({ path }) => path === 'engine/trace/strace.ts'));
  report(
    suspects
      .filter(({ path, text }) => !TABLES.includes(path) && !text.includes('register_cache('))
      .map(({ path }) => `${path}: a cache that is not registered`),
  );
});

test('engine/index.ts is the only barrel', () => {
  const violations: string[] = [];
  for (const source of engine)
    if (source.path !== 'engine/index.ts' && /^export\s+(\*|\{[^}]*\})\s+from/m.test(source.text))
      violations.push(source.path);
  report(violations);
});

test('BigInt stays out of hot files', () => {
  const violations: string[] = [];
  for (const source of engine) {
    if (!source.text.startsWith('// @hot') || source.path === 'engine/heap/field.ts') continue;
    if (/\b\d+n\b|\bBigInt\(/.test(strip_comments(source.text))) violations.push(source.path);
  }
  report(violations);
});

test('exported functions have a docstring', () => {
  const violations: string[] = [];
  for (const source of engine) {
    const lines = source.text.split('\n');
    lines.forEach((line, i) => {
      const match = /^export (?:async )?function\*? (\w+)/.exec(line);
      if (match === null) return;
      const before = (lines[i - 1] ?? '').trim();
      const sibling = before === '}' && /^export function/.test(previous_function_head(lines, i - 1));
      if (!before.endsWith('*/') && !sibling) violations.push(`${source.path}:${i + 1}: ${match[1]}`);
    });
  }
  report(violations);
});

/** The head of the function that ends at line `end`: a group of twins directly below a docstring shares it. */
function previous_function_head(lines: readonly string[], end: number): string {
  for (let i = end - 1; i >= 0; i--) if (/^\S/.test(lines[i] as string) && lines[i] !== '}') return lines[i] as string;
  return '';
}

test.run();
