/**
 * `tvisor-harness bench`: measures, beside native Linux where the host is one, and compares with an earlier run.
 *
 * Exit status: 0 measured, and nothing is worse than in the report of --compare; 1 something is worse; 78 something
 * could not be measured; 2 the command line is wrong; 130 interrupted (what was measured is printed and written).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { compare_reports, comparison_text } from '../../bench/core/compare.ts';
import { runs_natively } from '../../bench/core/host.ts';
import { parse_report, type Report } from '../../bench/core/report.ts';
import { run_suites } from '../../bench/core/run.ts';
import type { Suite } from '../../bench/core/suite.ts';
import { SUITES } from '../../bench/suites.ts';
import { EXIT_CLEAN, EXIT_ERROR, EXIT_INTERRUPTED, HarnessError, message_of, usage_error } from '../errors.ts';
import type { Command, CommandLine } from './command.ts';
import { near } from './near.ts';

/** --compare found something worse. */
const EXIT_WORSE = 1;

const NAMES = SUITES.map(({ name }) => name);

export const bench_command: Command = {
  name: 'bench',
  usage: '[SUITES...]',
  summary: 'Measure speed, beside native Linux',
  flags: [
    { name: 'filter', value: 'TEXTS', help: 'only cases whose name contains one of these' },
    { name: 'columns', value: 'NAMES', help: 'only these: native, interp, jit, qemu, blink, program' },
    { name: 'time', value: 'TIME', help: 'measure each case for so long (ms, s, m); default: the suite decides' },
    { name: 'quick', value: '', help: 'the least work that runs everything; the figures mean nothing' },
    { name: 'native', value: '', help: 'fail where programs cannot run natively too (default: leave that out)' },
    { name: 'guest-only', value: '', help: 'do not run anything natively' },
    { name: 'json', value: 'FILE', help: 'write all samples to this file' },
    { name: 'compare', value: 'FILE', help: 'say what is better or worse than in this file; exit status 1 if worse' },
  ],
  examples: [
    'bench',
    'bench syscalls --filter=pipe,getppid',
    'bench cpu --columns=native,jit --json=now.json --compare=before.json',
    `bench ${NAMES.join(' ')} --quick`,
  ],
  instrumented: false,
  run: run_bench,
};

function find_suites(names: readonly string[]): readonly Suite[] {
  if (names.length === 0) return SUITES;
  return names.map((name) => {
    const suite = SUITES.find((candidate) => candidate.name === name);
    if (suite !== undefined) return suite;
    const like = near(name, NAMES);
    const remedy = like.length > 0 ? `did you mean ${like.join(' or ')}?` : `there are ${NAMES.join(', ')}`;
    throw usage_error(`there is no suite '${name}'`, remedy);
  });
}

/** The report of --compare, read before anything is measured. */
function read_report(file: string | undefined): Report | null {
  if (file === undefined) return null;
  try {
    return parse_report(readFileSync(file, 'utf8'));
  } catch (error) {
    throw usage_error(`--compare cannot use '${file}': ${message_of(error)}`, 'name a file that --json wrote');
  }
}

function native_of(line: CommandLine): 'auto' | 'never' | 'must' {
  if (line.has('native') && line.has('guest-only'))
    throw usage_error('--native and --guest-only contradict each other', 'give one of them');
  if (line.has('native') && !runs_natively())
    throw usage_error('--native needs an x86-64 Linux host', 'leave it out: guests are measured everywhere');
  if (line.has('native')) return 'must';
  return line.has('guest-only') ? 'never' : 'auto';
}

/** Creates or empties the file, so that a path that cannot be written ends the run before it begins. */
function check_writable(file: string | undefined): void {
  if (file === undefined) return;
  try {
    writeFileSync(file, '', { flag: 'a' });
  } catch (error) {
    throw usage_error(`--json cannot write '${file}': ${message_of(error)}`, 'name a file in a folder that exists');
  }
}

async function run_bench(line: CommandLine): Promise<number> {
  const suites = find_suites(line.args);
  const before = read_report(line.text('compare'));
  const json = line.text('json');
  const native = native_of(line);
  const seconds = line.text('time') === undefined ? null : line.seconds('time', 0);
  if (seconds !== null && seconds <= 0) throw usage_error('--time takes more than nothing', 'write --time=500ms');
  check_writable(json);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const { report, failures } = await run_suites({
    suites,
    options: {
      filter: line.list('filter'),
      columns: line.list('columns'),
      time_ms: seconds === null ? null : seconds * 1000,
      quick: line.has('quick'),
      native,
    },
    signal: stop.signal,
    print: (text) => process.stdout.write(text),
  });
  process.off('SIGINT', interrupt);
  process.off('SIGTERM', interrupt);
  if (json !== undefined) write_report(json, report);
  const comparison = before === null ? null : compare_reports(before, report);
  if (comparison !== null) process.stdout.write(comparison_text(comparison));
  if (stop.signal.aborted) return EXIT_INTERRUPTED;
  if (failures > 0) return EXIT_ERROR;
  if (report.measurements.length === 0)
    throw new HarnessError('nothing was measured', 'see what is left out above, or choose other names with --filter');
  return comparison?.comparisons.some(({ verdict }) => verdict === 'worse') === true ? EXIT_WORSE : EXIT_CLEAN;
}

function write_report(file: string, report: Report): void {
  try {
    writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`);
  } catch (error) {
    throw new HarnessError(`the report cannot be written to '${file}': ${message_of(error)}`, 'the tables are above');
  }
}
