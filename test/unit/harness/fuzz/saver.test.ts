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

test('while the disk is full, files wait; then each is written once', async () => {
  let full = true;
  const written = new Map<string, string>();
  const saver = new Saver(async (path, text) => {
    if (full) throw new Error('ENOSPC: no space left on device');
    written.set(path, text);
  });
  saver.save('a', '1');
  saver.save('b', '2');
  assert.is(await saver.retry(), false);
  saver.save('a', '3');
  assert.is(saver.pending, 2);
  assert.match(saver.problem, /ENOSPC/);
  assert.is(await saver.retry(), false);
  assert.equal(saver.rest(), [
    ['a', '3'],
    ['b', '2'],
  ]);
  full = false;
  assert.is(await saver.retry(), true);
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
  assert.is(await saver.retry(), true);
  assert.is(written.get('c'), '4');
});

test('a file that is saved again while it is written has the last text, and is written once at a time', async () => {
  const in_progress = new Set<string>();
  const written: string[] = [];
  const saver = new Saver(async (path, text) => {
    assert.not(in_progress.has(path));
    in_progress.add(path);
    await new Promise((resolve) => setImmediate(resolve));
    in_progress.delete(path);
    written.push(`${path}${text}`);
  });
  for (let i = 0; i < 20; i++) saver.save(`f${i % 5} `, `${i}`);
  assert.is(saver.pending, 5);
  assert.is(await saver.retry(), true);
  assert.equal(new Set(written.slice(-5)), new Set(['f0 15', 'f1 16', 'f2 17', 'f3 18', 'f4 19']));
});

test('files are whole when all is written', async () => {
  const saver = new Saver();
  for (let i = 0; i < 50; i++) saver.save(join(root, 'later', `${i % 25}`), `text ${i}`);
  assert.is(await saver.retry(), true);
  assert.is(readdirSync(join(root, 'later')).length, 25);
  for (let i = 0; i < 25; i++) assert.is(readFileSync(join(root, 'later', `${i}`), 'utf8'), `text ${i + 25}`);
});

test.run();
