/** `tvisor-harness diff`: the same programs on the host's Linux kernel and in the machine. */
import { setImmediate } from 'node:timers/promises';
import { is_implemented } from '../desc/call.ts';
import { make_target, type Target } from '../desc/target.ts';
import { is_allowed_description } from '../diff/allow.ts';
import { check_host } from '../diff/native.ts';
import { DiffOracle } from '../diff/oracle.ts';
import { type DiffCounts, DiffSession, describe, type NewDifference, summary } from '../diff/session.ts';
import { EXIT_CLEAN, EXIT_FINDING, EXIT_INTERRUPTED, usage_error } from '../errors.ts';
import { make_choice_table } from '../prog/choice_table.ts';
import { generate_program } from '../prog/generate.ts';
import type { Program } from '../prog/model.ts';
import { Random } from '../prog/random.ts';
import type { Command, CommandLine } from './command.ts';
import { read_programs } from './files.ts';

const CALLS = 10;
const PROGRESS_MS = 1000;

export const diff_command: Command = {
  name: 'diff',
  usage: '[FILES...]',
  summary: "Compare programs with the host's Linux kernel",
  flags: [
    { name: 'workdir', value: 'DIR', help: 'compare its corpus, and write what is found to DIR/diffs' },
    { name: 'generate', short: 'n', value: 'N', help: 'compare N random programs, instead of files' },
    { name: 'seed', value: 'N', help: 'of the random programs: the same seed gives the same ones (default 1)' },
    { name: 'limit', value: 'TIME', help: 'end after this time: 60, 10m' },
    { name: 'json', value: '', help: 'an object for each new difference, and one at the end' },
  ],
  examples: ['diff --workdir work', 'diff --generate 200 --seed 7', 'diff program.prog more-programs --limit 60'],
  instrumented: false,
  run: run_diff,
};

async function run_diff(line: CommandLine): Promise<number> {
  check_host();
  const limit_s = line.has('limit') ? line.seconds('limit', 0) : Number.POSITIVE_INFINITY;
  const programs = choose_programs(line);
  const oracle = new DiffOracle();
  let interrupted = false;
  const stop = (): void => {
    interrupted = true;
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, stop);
  try {
    if (!oracle.runner.on_tmpfs)
      process.stderr.write('warning: /dev/shm is no tmpfs: programs run on another file system than in the machine\n');
    const session = new DiffSession(oracle, line.text('workdir'));
    const start = performance.now();
    let told = start;
    for (const program of programs.each()) {
      const found = session.judge(program);
      if (found !== undefined) process.stdout.write(line.has('json') ? json_line(found) : `${describe(found)}\n`);
      const now = performance.now();
      if (now - told >= PROGRESS_MS) {
        told = now;
        process.stderr.write(`${progress_text(session.counts, programs.count)}\n`);
      }
      // Lets the signals in.
      await setImmediate();
      if (interrupted || now - start > limit_s * 1000) break;
    }
    process.stdout.write(
      line.has('json')
        ? `${JSON.stringify({ ...session.counts, kinds: [...session.kinds.values()] })}\n`
        : end_text(session),
    );
    if (interrupted) return EXIT_INTERRUPTED;
    return session.found.size > 0 ? EXIT_FINDING : EXIT_CLEAN;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, stop);
    oracle.close();
  }
}

interface Programs {
  readonly count: number;
  each(): Iterable<Program>;
}

function choose_programs(line: CommandLine): Programs {
  const work_dir = line.text('workdir');
  if (line.has('generate')) {
    if (line.args.length > 0) throw usage_error('--generate and files', 'give one of the two');
    return generated_programs(line.integer('generate', 1, 1), line.integer('seed', 1));
  }
  const paths = line.args.length > 0 || work_dir === undefined ? line.args : [work_dir];
  if (paths.length === 0) throw usage_error('there is nothing to compare', 'name files, --workdir or --generate');
  const programs = read_programs(make_target(), paths).map(({ program }) => program);
  return { count: programs.length, each: () => programs };
}

/** Programs of calls that may run on the host. */
export function diff_target(): Target {
  return make_target({ enable: (description) => is_implemented(description) && is_allowed_description(description) });
}

function generated_programs(count: number, seed: number): Programs {
  const target = diff_target();
  const table = make_choice_table(target);
  const random = new Random(seed);
  return {
    count,
    *each() {
      for (let i = 0; i < count; i++) yield generate_program(target, table, random, CALLS);
    },
  };
}

function progress_text({ programs, calls, known, different }: DiffCounts, of: number): string {
  return `${programs} of ${of} programs, ${calls} calls compared; ${different} programs differ, ${known} as is known`;
}

function json_line({ title, difference, path }: NewDifference): string {
  return `${JSON.stringify({ title, ...difference, path })}\n`;
}

function end_text(session: DiffSession): string {
  const { counts, found } = session;
  const { programs, skipped, unstable, failed, calls, removed, known, different } = counts;
  return [
    `${programs} programs: ${calls} calls compared, ${removed} left out because they may not run on the host`,
    `${skipped} programs skipped, ${unstable} not the same each time on Linux, ${failed} not finished by the machine`,
    `${different} programs differ in ${found.size} new ways, ${known} in ways that are known`,
    summary(session),
  ].join('\n');
}
