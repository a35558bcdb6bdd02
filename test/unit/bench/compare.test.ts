/** Comparing two reports: verdicts, what is new or gone, and reports that cannot be used. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compare_reports, comparison_text, type Verdict } from '../../../bench/core/compare.ts';
import {
  describe_machine,
  type Measurement,
  parse_report,
  type Report,
  ReportError,
} from '../../../bench/core/report.ts';

const STEADY = [100, 101, 102, 103, 104, 105, 106, 107];

function measured(name: string, samples: readonly number[], better: 'lower' | 'higher' = 'lower'): Measurement {
  return { suite: 'syscalls', name, column: 'interp', unit: 'ns', better, samples };
}

function report(measurements: readonly Measurement[]): Report {
  const machine = { cpu: 'x', cores: 2, memory_gib: 4, os: 'linux', arch: 'x64', node: '20.0.0', v8: '11' };
  const options = { quick: false, time_ms: null };
  return { schema: 'tvisor-bench', version: 1, machine, options, complete: true, measurements };
}

function verdict(
  before: readonly number[],
  now: readonly number[],
  better: 'lower' | 'higher' = 'lower',
): Verdict | undefined {
  const result = compare_reports(report([measured('a', before, better)]), report([measured('a', now, better)]));
  return result.comparisons[0]?.verdict;
}

const scaled = (factor: number): number[] => STEADY.map((x) => x * factor);

test('verdicts follow the direction that is better', () => {
  assert.is(verdict(STEADY, scaled(1.5)), 'worse');
  assert.is(verdict(STEADY, scaled(0.5)), 'better');
  assert.is(verdict(STEADY, scaled(1.5), 'higher'), 'better');
  assert.is(verdict(STEADY, scaled(0.5), 'higher'), 'worse');
});

test('what chance explains, or is too small to matter, is noise', () => {
  assert.is(verdict(STEADY, STEADY), 'noise');
  assert.is(verdict([90, 100, 110, 120, 130, 140], [95, 105, 115, 125, 135, 145]), 'noise');
  const fine = Array.from({ length: 40 }, (_, i) => 1000 + i / 10);
  assert.is(
    verdict(
      fine,
      fine.map((x) => x * 1.01),
    ),
    'noise',
    'significant but one per cent',
  );
});

test('few samples cannot show anything', () => {
  assert.is(verdict([1, 2, 3], [10, 20, 30]), 'too few samples');
  assert.is(verdict([1], [10]), 'too few samples');
  assert.is(verdict([1, 2, 3, 4, 5], [10, 20, 30, 40, 50]), 'worse');
});

test('new and missing measurements are named, other units are not compared', () => {
  const before = report([measured('gone', STEADY), measured('unit', STEADY)]);
  const now = report([{ ...measured('unit', STEADY), unit: 'ms' }, measured('new', STEADY)]);
  const { comparisons, added, missing } = compare_reports(before, now);
  assert.is(comparisons.length, 0);
  assert.equal(
    added.map(({ name }) => name),
    ['unit', 'new'],
  );
  assert.equal(
    missing.map(({ name }) => name),
    ['gone'],
  );
});

test('the text names machines that differ and counts the verdicts', () => {
  const before = report([measured('a', STEADY), measured('b', STEADY)]);
  const now = report([measured('a', scaled(2)), measured('b', STEADY)]);
  const text = comparison_text(compare_reports(before, { ...now, machine: { ...now.machine, cores: 4 } }));
  assert.match(text, /^the machines differ: cores: 2 before, 4 now\n/);
  assert.match(text, /^worse +\+100\.0 % {2}p 0\.000\d {2}syscalls: a \(interp\)$/m);
  assert.match(text, /\n0 better, 1 worse, 1 noise, 0 too few samples\n$/);
});

test('a report is read back as it was written', () => {
  const written = report([measured('a', STEADY)]);
  assert.equal(parse_report(JSON.stringify(written)), written);
});

test('what is no report is refused with a reason', () => {
  const cases: [change: unknown, reason: RegExp][] = [
    ['', /not JSON/],
    [{ ...report([]), schema: 'other' }, /not a report/],
    [[], /not a report/],
    [{ ...report([]), version: 2 }, /version 2 of the form is not 1/],
    [{ ...report([]), machine: 1 }, /'machine' is missing/],
    [{ ...report([]), measurements: {} }, /'measurements' is not a list/],
    [{ ...report([]), measurements: [{ ...measured('a', STEADY), better: 'x' }] }, /measurement 0: 'better'/],
    [report([measured('a', [])]), /measurement 0: 'samples'/],
    [{ ...report([]), measurements: [{ ...measured('a', STEADY), name: 1 }] }, /measurement 0: 'name'/],
  ];
  for (const [value, reason] of cases) {
    const text = value === '' ? '{' : JSON.stringify(value);
    try {
      parse_report(text);
      assert.unreachable(text);
    } catch (error) {
      assert.instance(error, ReportError);
      assert.match((error as Error).message, reason);
    }
  }
});

test('the description of the machine names no host and no path', () => {
  const keys = Object.keys(describe_machine()).sort();
  assert.equal(keys, ['arch', 'cores', 'cpu', 'memory_gib', 'node', 'os', 'v8']);
  assert.not.match(JSON.stringify(describe_machine()), /"\//);
});

test.run();
