/** The commands on the real, instrumented kernel, as a user runs them. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HARNESS, harness } from '../../../support/harness_cli.ts';

const root = mkdtempSync(join(tmpdir(), 'tvisor-cli-'));
const work = join(root, 'work');
test.after(() => rmSync(root, { recursive: true, force: true }));

const FEW = '--enable=eventfd2,read,write,close,dup,pipe2,getpid,lseek,openat';

test('a short campaign ends with 0 or 77, says how it went, and leaves a work directory', () => {
  const { status, stdout, stderr } = harness(['fuzz', '--runs', '300', '--seed=3', '--workdir', work, FEW], 120);
  assert.ok(status === 0 || status === 77, `${status} ${stderr}`);
  assert.match(
    stdout,
    /^\d+s, execs \d+ \(\d+\/s\), corpus \d+, edges \d+, crashes \d+\/\d+, last find .*, reset [\d.]+us, stability [\d.]+%$/m,
  );
  assert.match(stdout, /end: all programs are run; \d+ new findings; seed 3\n$/);
  assert.ok(readdirSync(join(work, 'corpus')).length > 10);
  assert.is(JSON.parse(readFileSync(join(work, 'stats.json'), 'utf8')).stability, 100);
  assert.ok(existsSync(join(work, 'plot.jsonl')));
});

test('cover, cmin, merge and tmin work on its corpus', () => {
  const text = harness(['cover', work], 60);
  assert.is(text.status, 0, text.stderr);
  assert.match(text.stdout, /^all blocks +\d+\/\d+ \d+%$/m);
  assert.match(text.stdout, /^engine\/vfs\/ +[1-9]/m);
  assert.match(harness(['cover', work, '--reporter=lcov', '--filter', 'engine/vfs/*'], 60).stdout, /^DA:\d+,[1-9]/m);
  const html = join(root, 'html');
  assert.is(harness(['cover', work, '--reporter', 'html', '-o', html, '--filter=engine/vfs/open.ts'], 60).status, 0);
  assert.match(readFileSync(join(html, 'engine.vfs.open.ts.html'), 'utf8'), /<span class="y" title="[1-9]/);

  const small = join(root, 'small');
  const cmin = harness(['cmin', work, '-o', small], 60);
  assert.is(cmin.status, 0, cmin.stderr);
  const kept = readdirSync(small);
  assert.ok(kept.length > 0 && kept.length <= readdirSync(join(work, 'corpus')).length);
  const merged = join(root, 'merged');
  const merge = harness(['merge', merged, small], 60);
  assert.is(merge.status, 0, merge.stderr);
  assert.match(harness(['merge', merged, small], 60).stdout, / 0 added, /);
  const program = join(small, kept[0]!);
  assert.is(harness(['tmin', program, '-o', join(root, 'tmin.prog')], 60).status, 0);
  assert.is(harness(['repro', '-n', '2', join(root, 'tmin.prog')], 60).status, 0);
});

test('the first Ctrl-C ends the campaign with 130 and everything saved', async () => {
  const path = join(root, 'interrupted');
  const child = spawn(process.execPath, [HARNESS, 'fuzz', '--json', '--seed=4', '--workdir', path, FEW]);
  let output = '';
  let sent = false;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (sent || !/"corpus":[1-9]/.test(output)) return;
    sent = true;
    child.kill('SIGINT');
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  assert.is(status, 130, output);
  const end = JSON.parse(output.trim().split('\n').at(-1)!);
  assert.is(end.type, 'end');
  assert.is(readdirSync(join(path, 'corpus')).length, end.corpus);
  assert.not.ok(existsSync(join(path, 'lock')));
});

test('what is wrong with files and directories is said in a line', () => {
  const other = join(root, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'workdir.json'), '{"format": 99}');
  const cases: [words: string[], status: number, message: RegExp][] = [
    [['fuzz', '--workdir', other], 78, /has format 99/],
    [['fuzz', '--workdir', join(other, 'workdir.json', 'x')], 78, /the work directory/],
    [['repro', join(root, 'none.prog')], 78, /none\.prog: ENOENT/],
    [['repro'], 2, /FILE is missing/],
    [['cmin', work], 2, /--output is missing/],
    [['cover', join(root, 'nowhere')], 78, /does not exist/],
    [['fuzz', '--enable', 'opne', '--workdir', join(root, 'x')], 2, /did you mean open/],
  ];
  for (const [words, status, message] of cases) {
    const result = harness(words);
    assert.is(result.status, status, `${words.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, message);
    assert.match(result.stderr, /^tvisor-harness: [^\n]*\n$/);
  }
});

test('the library does what the commands do', () => {
  const script = `
    import { fuzz, replay, minimize } from '${new URL('../../../../../dist/bundle/harness.js', import.meta.url).href}';
    const stop = new AbortController();
    const { reason, corpus, findings } = await fuzz({
      seed: 5, enable: ['eventfd2', 'read', 'write', 'close'], signal: stop.signal,
      onProgress: ({ corpus }) => { if (corpus > 3) stop.abort(); },
    });
    const text = 'r0 = eventfd2(0x7, 0x0)\\ngetpid()\\nread(r0, &(0x7f0000000000)=""/8, 0x8)\\n';
    const smaller = minimize(text).program.trim().split('\\n').length;
    console.log(JSON.stringify({ reason, corpus: corpus.length, replay: replay(text), smaller }));
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.is(stderr, '');
  const { reason, corpus, replay, smaller } = JSON.parse(stdout);
  assert.is(reason, 'stopped');
  assert.ok(corpus > 3);
  assert.equal(replay.findings, []);
  assert.is(replay.results[2], 8);
  assert.is(smaller, 2);
});

test.run();
