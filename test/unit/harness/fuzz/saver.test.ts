import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Saver, write_whole } from '../../../../harness/fuzz/saver.ts';

const root = mkdtempSync(join(tmpdir(), 'tvisor-saver-'));
test.after(() => rmSync(root, { recursive: true, force: true }));

test('a file is written whole, and nothing is left beside it', () => {
  write_whole(join(root, 'a', 'b'), 'one');
  write_whole(join(root, 'a', 'b'), 'two');
  assert.is(readFileSync(join(root, 'a', 'b'), 'utf8'), 'two');
  assert.equal(readdirSync(join(root, 'a')), ['b']);
});

test('while the disk is full, files wait; then each is written once', () => {
  let full = true;
  const written = new Map<string, string>();
  const saver = new Saver((path, text) => {
    if (full) throw new Error('ENOSPC: no space left on device');
    written.set(path, text);
  });
  saver.save('a', '1');
  saver.save('b', '2');
  saver.save('a', '3');
  assert.is(saver.pending, 2);
  assert.match(saver.problem, /ENOSPC/);
  assert.is(saver.retry(), false);
  assert.equal(saver.rest(), [
    ['a', '3'],
    ['b', '2'],
  ]);
  full = false;
  assert.is(saver.retry(), true);
  assert.is(saver.problem, '');
  assert.is(saver.pending, 0);
  assert.equal(
    [...written],
    [
      ['a', '3'],
      ['b', '2'],
    ],
  );
  saver.save('c', '4');
  assert.is(written.get('c'), '4');
});

test.run();
