/** `tvisor-harness bench`: every suite runs with --quick, reports are written and compared, errors are told. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { make_c_source, make_lines, make_text } from '../../../../bench/core/data.ts';
import { parse_report, type Report } from '../../../../bench/core/report.ts';
import { PROGRAM_CASES } from '../../../../bench/program_calls.ts';
import { vcpu_counts } from '../../../../bench/suites/scaling.ts';
import { parse_samples } from '../../../../bench/suites/syscalls.ts';
import { native_host } from '../../../support/guest.ts';
import { HARNESS, harness } from '../../../support/harness_cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'tvisor-bench-test-'));
const json = join(folder, 'report.json');
test.after(() => rmSync(folder, { recursive: true }));

/** Runs the command with --quick and --json; answers its report. */
function quick(words: readonly string[], status = 0): Report {
  const run = harness(['bench', ...words, '--quick', `--json=${json}`]);
  assert.is(run.status, status, `${run.stdout}${run.stderr}`);
  return parse_report(readFileSync(json, 'utf8'));
}

test('what cannot be understood ends with 2 and one line with a remedy', () => {
  const bad = join(folder, 'bad.json');
  writeFileSync(bad, '{"schema": "tvisor-bench", "version": 99}');
  const cases: [words: string[], message: RegExp][] = [
    [['syscall'], /there is no suite 'syscall'; did you mean syscalls/],
    [['nothing-like-it'], /there are syscalls, /],
    [['heap', '--time=soon'], /--time takes a time, not 'soon'/],
    [['heap', '--time=0'], /--time takes more than nothing/],
    [['heap', '--compare', join(folder, 'none.json')], /--compare cannot use .*ENOENT.*; name a file/],
    [['heap', '--compare', bad], /version 99 of the form is not 1: measure anew/],
    [['heap', '--json', join(folder, 'no', 'report.json')], /--json cannot write .*; name a file in a folder/],
    [['heap', '--native', '--guest-only'], /contradict/],
  ];
  for (const [words, message] of cases) {
    const { status, stdout, stderr } = harness(['bench', ...words]);
    assert.is(status, 2, words.join(' '));
    assert.is(stdout, '');
    assert.match(stderr, message);
    assert.match(stderr, /^tvisor-harness: [^\n]*\n$/);
  }
});

test('a filter that fits nothing is told', () => {
  const { status, stderr } = harness(['bench', 'heap', '--quick', '--filter=no-such-case']);
  assert.is(status, 78);
  assert.match(stderr, /nothing was measured/);
});

test('the suites of the engine alone, quick', () => {
  const { measurements, complete } = quick(['heap', 'interp']);
  assert.is(complete, true);
  const names = measurements.map(({ suite, name }) => `${suite}: ${name}`);
  for (const name of ['heap: lock and unlock', 'heap: alloc and free', 'interp: null system call'])
    assert.ok(names.includes(name), name);
});

test('system calls as programs, and the harness, quick', () => {
  const calls = quick(['syscalls', '--columns=program']).measurements;
  assert.equal(
    calls.map(({ name }) => name),
    PROGRAM_CASES.map(({ name }) => name),
  );
  const { measurements } = quick(['harness']);
  const columns = measurements.map(({ name, column }) => `${name.split(',')[0]}: ${column}`);
  for (const wanted of ['programs of 10 calls: plain', 'programs of 10 calls: kcov, not tracing', 'reset: plain'])
    assert.ok(columns.includes(wanted), wanted);
});

test('comparing a report with itself finds noise, with one twice as good something worse', () => {
  quick(['heap']);
  const report = parse_report(readFileSync(json, 'utf8'));
  const before = join(folder, 'before.json');
  const measurements = report.measurements.map((m) => ({
    ...m,
    samples: Array.from({ length: 9 }, (_, i) => 1e-9 + i * 1e-12),
  }));
  writeFileSync(before, JSON.stringify({ ...report, measurements }));
  const { status, stdout } = harness(['bench', 'heap', '--time=20ms', `--compare=${before}`]);
  assert.is(status, 1, stdout);
  assert.match(stdout, /^0 better, 4 worse, 0 noise, 0 too few samples$/m);
});

if (native_host()) {
  test('system calls, natively and as a guest, quick', () => {
    const { measurements } = quick(['syscalls', '--filter=getppid,pipe,openat', '--columns=native,interp']);
    for (const column of ['native', 'interp'])
      for (const name of ['getppid', 'write and read 1 B, pipe', 'openat and close', 'pipe ping-pong, processes'])
        assert.ok(
          measurements.some((m) => m.column === column && m.name === name && m.samples.length >= 3),
          `${name} (${column})`,
        );
  });

  test('scaling and start-up, quick', () => {
    const { measurements } = quick(['scaling', 'startup', '--filter=page faults,true,cat']);
    for (const [suite, name] of [
      ['scaling', 'page faults, 1 at once'],
      ['startup', 'do -- true'],
      ['startup', '2 MiB through cat'],
    ])
      assert.ok(
        measurements.some((m) => m.suite === suite && m.name === name),
        name,
      );
  });

  test('programs of the cpu suite have the same output natively and as guests, quick', () => {
    const words = ['nbody', 'memstr', 'dispatch', 'mix', 'gzip', 'start: true'];
    const { measurements } = quick(['cpu', '--columns=native,interp', `--filter=${words.join(',')}`]);
    for (const column of ['native', 'interp'])
      assert.ok(
        measurements.some((m) => m.column === column && m.name === 'dispatch'),
        column,
      );
  });
}

test('Ctrl-C prints and writes what was measured', async () => {
  const child = spawn(process.execPath, [HARNESS, 'bench', 'heap', 'interp', '--time=60s', `--json=${json}`]);
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  setTimeout(() => child.kill('SIGINT'), 1500);
  const status = await new Promise((resolve) => child.on('close', resolve));
  assert.is(status, 130);
  assert.match(output, /^# heap \(interrupted\)/);
  assert.is(parse_report(readFileSync(json, 'utf8')).complete, false);
});

test('input data has the size asked for, and is always the same', () => {
  assert.is(make_text(1000), make_text(1000));
  assert.ok(make_text(1000).length >= 1000 && make_text(1000).length < 1200);
  assert.is(make_lines(100).split('\n').length, 101);
  assert.is(new Set(make_lines(100).split('\n')).size, 101);
  const lines = make_c_source(400).split('\n').length;
  assert.ok(lines > 380 && lines < 520, `${lines}`);
});

test('lines of the system call program, and how many vCPUs are tried', () => {
  assert.equal(
    [...parse_samples('a, b\t1.5 2 \nc\t3\n\nd\t\n')],
    [
      ['a, b', [1.5, 2]],
      ['c', [3]],
    ],
  );
  assert.equal(vcpu_counts(1), [1]);
  assert.equal(vcpu_counts(2), [1, 2]);
  assert.equal(vcpu_counts(6), [1, 2, 4, 6]);
});

test.run();
