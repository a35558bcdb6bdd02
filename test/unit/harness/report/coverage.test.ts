import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Block,
  type BlockMap,
  coverage_of,
  functions_of,
  json_report,
  lcov_report,
  lines_of,
  text_report,
} from '../../../../harness/report/coverage.ts';
import { index_page, page_name, source_page } from '../../../../harness/report/html.ts';

const SOURCE = 'function f(x) {\n  if (x < 1) return 2;\n  return 3;\n}\n';
const BLOCKS: Record<string, Block[]> = {
  'engine/a/f.ts': [
    { pc: 0x8000_0000, function_name: 'f', line: 1, column: 15, end_line: 4, end_column: 2 },
    { pc: 0x8000_0001, function_name: 'f', line: 2, column: 14, end_line: 2, end_column: 23 },
    { pc: 0x8000_0002, function_name: 'f', line: 3, column: 3, end_line: 3, end_column: 12 },
  ],
  'engine/a/g.ts': [{ pc: 0x8000_1000, function_name: 'g', line: 5, column: 1, end_line: 6, end_column: 2 }],
};
const MAP: BlockMap = { files: () => Object.keys(BLOCKS), blocks_of: (path) => BLOCKS[path] ?? [] };
const FILES = coverage_of(
  MAP,
  new Map([
    [0x8000_0000, 7],
    [0x8000_0002, 5],
  ]),
);

test('blocks, lines and functions get the programs that ran them', () => {
  assert.equal(
    FILES.map(({ covered, blocks }) => [covered, blocks.length]),
    [
      [2, 3],
      [0, 1],
    ],
  );
  assert.equal(lines_of(FILES[0]!), [
    { line: 1, hits: 7 },
    { line: 2, hits: 0 },
    { line: 3, hits: 5 },
  ]);
  assert.equal(functions_of(FILES[0]!), [{ name: 'f', line: 1, hits: 7 }]);
});

test('text', () => {
  assert.is(text_report(FILES), 'engine/a/   2/4 50%\n  f.ts      2/3 66%\n  g.ts      0/1 0%\nall blocks  2/4 50%\n');
});

test('lcov', () => {
  assert.is(
    lcov_report(FILES.slice(0, 1)),
    'TN:\nSF:engine/a/f.ts\nFN:1,f\nFNDA:7,f\nFNF:1\nFNH:1\nDA:1,7\nDA:2,0\nDA:3,5\nLF:3\nLH:2\nend_of_record\n',
  );
});

test('json', () => {
  const read = JSON.parse(json_report(FILES));
  assert.is(read.covered, 2);
  assert.is(read.total, 4);
  assert.is(read.files[0].blocks[2].hits, 5);
});

test('html colours the innermost block, and escapes the source', () => {
  const page = source_page(FILES[0]!, SOURCE);
  assert.ok(page.includes('<span class="n0" title="0">return 2;</span>'), page);
  assert.ok(page.includes('<span class="y" title="5">return 3;</span>'));
  assert.ok(page.includes('if (x &lt; 1) '));
  assert.not.match(page, /if \(x < 1\)/);
  const text = page
    .slice(page.indexOf('<pre>') + 5, page.indexOf('</pre>'))
    .replaceAll(/<span class="l">[^<]*<\/span>/g, '')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll('&lt;', '<');
  assert.is(text, SOURCE, 'nothing of the source is lost');
  const index = index_page(FILES, 3);
  assert.ok(index.includes(page_name('engine/a/f.ts')));
  assert.match(index, /2\/4 50% of the basic blocks, by 3 programs/);
});

test.run();
