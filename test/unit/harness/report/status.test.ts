import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Snapshot } from '../../../../harness/fuzz/snapshot.ts';
import { JsonReporter, LineReporter, PanelReporter } from '../../../../harness/report/console.ts';
import { duration, grouped, panel_lines, status_line } from '../../../../harness/report/status.ts';

const SNAPSHOT: Snapshot = {
  elapsed_s: 83.4,
  execs: 1_234_567,
  execs_per_s: 14_803,
  execs_per_s_average: 14_790,
  corpus: 512,
  edges: 8123,
  blocks: 30_000,
  crashes_unique: 1,
  crashes_total: 5,
  last_find_s: 3.2,
  reset_us: 22.5,
  dirty_pages: 18.3,
  stability: 99.8,
  calls_per_program: 9.7,
  queue: 12,
  workers: 2,
  workers_lost: 1,
  runs: {
    load: 1,
    generate: 2,
    mutate: 3000,
    triage: 4,
    minimize: 5,
    smash: 6,
    hints: 7,
    faults: 8,
    races: 9,
    findings: 10,
  },
};

test('the status line', () => {
  assert.is(
    status_line(SNAPSHOT),
    '1m23s, execs 1234567 (14803/s), corpus 512, edges 8123, crashes 1/5, last find 3s ago, reset 22.5us, stability 99.8%',
  );
  assert.match(status_line({ ...SNAPSHOT, last_find_s: null }), /last find none/);
});

test('durations and numbers', () => {
  assert.equal([0, 59.9, 60, 3600, 86_461].map(duration), ['0s', '59s', '1m00s', '1h00m00s', '24h01m01s']);
  assert.equal([0, 999, 1000, 1_234_567].map(grouped), ['0', '999', '1,000', '1,234,567']);
});

test('the panel is a box of one width', () => {
  const lines = panel_lines(SNAPSHOT, 'work');
  assert.is(new Set(lines.map((line) => line.length)).size, 1);
  const text = lines.join('\n');
  for (const part of ['1m23s', '1,234,567', '14,803/s', '1 unique, 5 in all', '99.8%', '2, 1 lost', '3,000'])
    assert.ok(text.includes(part), part);
});

test('lines come every three seconds, findings at once', () => {
  const written: string[] = [];
  const reporter = new LineReporter((text) => written.push(text));
  for (const elapsed_s of [0, 1, 2, 3, 4, 6.5]) reporter.progress({ ...SNAPSHOT, elapsed_s });
  assert.is(written.length, 3);
  reporter.warning('the disk is full');
  assert.is(written.at(-1), 'warning: the disk is full\n');
});

test('JSON lines have a type', () => {
  const written: string[] = [];
  const reporter = new JsonReporter((text) => written.push(text));
  reporter.progress(SNAPSHOT);
  reporter.warning('w');
  reporter.end(SNAPSHOT, 'the time is up');
  const objects = written.map((text) => JSON.parse(text));
  assert.equal(
    objects.map(({ type }) => type),
    ['status', 'warning', 'end'],
  );
  assert.is(objects[0].execs, SNAPSHOT.execs);
  assert.is(objects[2].reason, 'the time is up');
});

test('the panel is drawn over itself', () => {
  const written: string[] = [];
  const reporter = new PanelReporter((text) => written.push(text), 'work');
  reporter.progress(SNAPSHOT);
  reporter.progress(SNAPSHOT);
  const height = panel_lines(SNAPSHOT, 'work').length;
  assert.not.ok(written[0]!.startsWith('\x1b'));
  assert.ok(written[1]!.startsWith(`\x1b[${height}A\x1b[J`));
});

test.run();
