/** The map of an instrumented build, the choice of source files, and source maps. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CoverageMap, write_map } from '../../../engine/kcov/map.ts';
import { COMPARISONS_FROM, pc_of } from '../../../engine/kcov/numbering.ts';
import { glob_pattern, is_kernel_source, source_filter } from '../../../engine/kcov/selection.ts';
import { SourceMap } from '../../../engine/kcov/source_map.ts';
import { all_blocks, symbolize } from '../../../engine/kcov/symbolize.ts';

const place = (
  function_name: string,
  line: number,
): { function_name: string; line: number; column: number; end_line: number; end_column: number } => ({
  function_name,
  line,
  column: 3,
  end_line: line + 1,
  end_column: 9,
});

const map = new CoverageMap(
  write_map([
    {
      path: 'engine/vfs/b.ts',
      slot: 7,
      blocks: [place('f', 1), place('g', 2), place('f', 5)],
      comparisons: [place('g', 2)],
    },
    { path: 'engine/vfs/a.ts', slot: 0x7ffff, blocks: [place('a', 8)], comparisons: [] },
  ]),
);

test('a map finds blocks and comparisons by the low word, signed or not', () => {
  assert.is(map.blocks, 4);
  assert.is(map.comparisons, 1);
  assert.equal(map.files(), ['engine/vfs/a.ts', 'engine/vfs/b.ts']);
  const pc = pc_of(7, 2);
  const expected = { pc, file: 'engine/vfs/b.ts', ...place('f', 5) };
  assert.equal(map.find(pc), expected);
  assert.equal(map.find(pc | 0), expected);
  assert.is(map.find(pc_of(7, COMPARISONS_FROM))?.function_name, 'g');
  assert.is(map.find(pc_of(0x7ffff, 0))?.function_name, 'a');
  for (const unknown of [pc_of(7, 3), pc_of(8, 0), pc_of(7, COMPARISONS_FROM + 1), 0, pc - 0x8000_0000, 2 ** 33 + pc])
    assert.is(map.find(unknown), null, String(unknown));
  assert.ok(map.is_block(pc) && !map.is_block(pc_of(7, COMPARISONS_FROM)));
  assert.equal(
    map.blocks_of('engine/vfs/b.ts').map(({ line }) => line),
    [1, 2, 5],
  );
  assert.equal(map.blocks_of('engine/none.ts'), []);
  assert.is(map.slot_of('engine/vfs/b.ts'), 7);
  assert.is(map.slot_of('none'), -1);
});

test('a map of another version, or none at all, is refused', () => {
  assert.throws(() => new CoverageMap('{"version":99,"files":[]}'), /version 99/);
  assert.throws(() => new CoverageMap('{'));
});

test('symbolize prints two lines a block', () => {
  assert.is(symbolize(map, 'ffffffff80007001\n').output, '0xffffffff80007001\nengine/vfs/b.ts:2.3,3.9\n');
  assert.is(all_blocks(map).split('\n').length, 2 * map.blocks + 1);
});

test('globs', () => {
  for (const [glob, path, matches] of [
    ['engine/*.ts', 'engine/a.ts', true],
    ['engine/*.ts', 'engine/vfs/a.ts', false],
    ['engine/**/*.ts', 'engine/a.ts', true],
    ['engine/**/*.ts', 'engine/x/y/a.ts', true],
    ['engine/**', 'engine/x/y/a.ts', true],
    ['{a,b*}/?.ts', 'bcd/x.ts', true],
    ['{a,b*}/?.ts', 'c/x.ts', false],
    ['a+b.ts', 'a+b.ts', true],
    ['a.ts', 'abts', false],
  ] as const)
    assert.is(glob_pattern(glob).test(path), matches, `${glob} ${path}`);
  assert.throws(() => glob_pattern('{a,b'), /brace/);
});

test('filters name files from the root or from engine/, or whole folders', () => {
  const selects = (filter: string, path: string): boolean => source_filter(filter)(path);
  assert.ok(selects('', 'engine/vfs/open.ts'));
  assert.ok(selects('vfs', 'engine/vfs/open.ts'));
  assert.ok(selects('engine/vfs/open.ts', 'engine/vfs/open.ts'));
  assert.ok(selects('mm/*.ts, vfs/**', 'engine/vfs/open.ts'));
  assert.ok(selects('{mm,vfs}/*.ts', 'engine/vfs/open.ts'));
  assert.not.ok(selects('vfs/open', 'engine/vfs/open.ts'));
  assert.not.ok(selects('mm', 'engine/vfs/open.ts'));
});

test('what is below kcov is no kernel source', () => {
  for (const path of ['engine/vfs/open.ts', 'engine/kernel/exit.ts', 'engine/syscalls/io.ts', 'engine/mm/fault.ts'])
    assert.ok(is_kernel_source(path), path);
  for (const path of [
    'engine/heap/lock.ts',
    'engine/heap/slab.ts',
    'engine/machine/frames.ts',
    'engine/x86/decoder.ts',
    'engine/platform/interp/interp.ts',
    'engine/kernel/kcov_trace.ts',
    'engine/kernel/scheduler.ts',
    'engine/kernel/task.layout.ts',
    'engine/sentry/run.ts',
    'engine/kcov/map.ts',
    'harness/prog/model.ts',
  ])
    assert.not.ok(is_kernel_source(path), path);
});

test('source maps: segments, lines without any, negative steps', () => {
  const code = 'abc\n\ndef ghi\n';
  // Line 1: column 0 -> 3:5. Line 3: column 0 -> 2:1, column 4 -> 10:1.
  const source = new SourceMap(JSON.stringify({ mappings: 'AAEI;;AADA,IAQA' }), code);
  assert.equal(source.position(0), { line: 3, column: 5 });
  assert.equal(source.position(2), { line: 3, column: 7 });
  assert.equal(source.position(4), { line: 3, column: 5 });
  assert.equal(source.position(5), { line: 2, column: 5 });
  assert.equal(source.position(9), { line: 10, column: 5 });
  assert.throws(() => new SourceMap('{"mappings":"A!"}', ''), /base-64/);
});

test.run();
