/** `tvisor-harness fuzz`: a coverage-guided campaign against the kernel. */
import { existsSync, statSync } from 'node:fs';
import type { Target } from '../desc/target.ts';
import { EXIT_CLEAN, EXIT_FINDING, EXIT_INTERRUPTED, usage_error } from '../errors.ts';
import { Campaign, type CampaignResult } from '../fuzz/campaign.ts';
import { ThreadPool } from '../fuzz/pool.ts';
import type { SeededProgram } from '../fuzz/program_file.ts';
import { load_directory, WorkDir } from '../fuzz/work_dir.ts';
import { JsonReporter, LineReporter, PanelReporter, type Reporter } from '../report/console.ts';
import type { Command, CommandLine } from './command.ts';
import { ENABLE_FLAGS, select_target } from './enable.ts';

/** Programs between two verifications of the whole state: one costs as much as some dozen programs. */
const VERIFY_EVERY = 1000;
const DEFAULT_WORK_DIR = 'tvisor-fuzz';

export const fuzz_command: Command = {
  name: 'fuzz',
  usage: '[CORPUS...]',
  summary: 'Fuzz the kernel, guided by its coverage',
  flags: [
    { name: 'workdir', value: 'DIR', help: `where corpus and findings are (default ${DEFAULT_WORK_DIR})` },
    { name: 'fresh', value: '', help: 'put an existing work directory aside, instead of going on with it' },
    { name: 'jobs', short: 'j', value: 'N', help: 'workers, each a thread with a machine of its own (default 1)' },
    {
      name: 'seed',
      value: 'N',
      help: 'with -j 1, the same seed and corpus give the same campaign (default: the time)',
    },
    { name: 'runs', value: 'N', help: 'end after so many programs' },
    { name: 'max-total-time', value: 'TIME', help: 'end after this time: 60, 10m, 2h' },
    { name: 'exit-on-crash', value: '', help: 'end at the first finding' },
    { name: 'verify-every', value: 'N', help: `programs between checks of the whole state (default ${VERIFY_EVERY})` },
    ...ENABLE_FLAGS,
    { name: 'json', value: '', help: 'report in JSON, an object a line' },
    { name: 'ci', value: '', help: 'plain lines even in a terminal; end at the first finding' },
  ],
  examples: [
    'fuzz --max-total-time 60 --workdir work',
    "fuzz -j 2 --enable 'epoll*,eventfd2,read,write,close'",
    'fuzz my-corpus more-programs --runs=100000 --seed=7 --json',
  ],
  instrumented: true,
  run: run_fuzz,
};

async function run_fuzz(line: CommandLine): Promise<number> {
  const target = select_target(line.list('enable'), line.list('disable'));
  const jobs = line.integer('jobs', 1, 1, 256);
  const seed = line.integer('seed', Date.now() % 0x7fff_ffff, 0, 0xffff_ffff);
  const runs = line.has('runs') ? line.integer('runs', 0, 1) : undefined;
  const max_total_s = line.has('max-total-time') ? line.seconds('max-total-time', 0) : undefined;
  const verify_every = line.integer('verify-every', VERIFY_EVERY, 1);
  const work_dir = open_work_dir(line);
  const reporter = make_reporter(line, work_dir.path);
  try {
    const campaign = new Campaign({
      target,
      pool: await ThreadPool.create(jobs),
      jobs,
      seed,
      verify_every,
      work_dir,
      programs: load_programs(target, line, work_dir, reporter),
      exit_on_crash: line.has('exit-on-crash') || line.has('ci'),
      ...(runs === undefined ? {} : { runs }),
      ...(max_total_s === undefined ? {} : { max_total_s }),
      progress: (snapshot) => reporter.progress(snapshot),
      on_crash: (crash, path) => reporter.crash(crash, path),
      on_warning: (message) => reporter.warning(message),
    });
    const result = await with_signals(campaign);
    reporter.end(result.snapshot, end_text(result, seed));
    return exit_status(result);
  } finally {
    work_dir.close();
  }
}

function open_work_dir(line: CommandLine): WorkDir {
  const path = line.text('workdir') ?? DEFAULT_WORK_DIR;
  const [corpus, ...others] = line.args;
  for (const other of others)
    if (!existsSync(other) || !statSync(other).isDirectory())
      throw usage_error(
        `${other} is not a directory`,
        'name directories with programs; the first one is made if need be',
      );
  return WorkDir.open(path, { fresh: line.has('fresh'), ...(corpus === undefined ? {} : { corpus }) });
}

/** The programs of the corpus that is written, and of those that are only read. */
function load_programs(target: Target, line: CommandLine, work_dir: WorkDir, reporter: Reporter): SeededProgram[] {
  const corpora = [work_dir.load(target), ...line.args.slice(1).map((path) => load_directory(target, path))];
  for (const { problems } of corpora) for (const problem of problems) reporter.warning(problem);
  return corpora.flatMap(({ programs }) => programs);
}

function make_reporter(line: CommandLine, work_dir: string): Reporter {
  const write = (text: string): void => {
    process.stdout.write(text);
  };
  if (line.has('json')) return new JsonReporter(write);
  const terminal = process.stdout.isTTY === true && !line.has('ci');
  return terminal ? new PanelReporter(write, work_dir) : new LineReporter(write);
}

/** The first Ctrl-C or SIGTERM lets the workers finish their programs, the second does not wait for them. */
async function with_signals(campaign: Campaign): Promise<CampaignResult> {
  let signals = 0;
  const on_signal = (): void => {
    if (++signals === 1) campaign.stop('stopped');
    else campaign.abandon();
  };
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.on(name, on_signal);
  try {
    return await campaign.run();
  } finally {
    for (const name of names) process.off(name, on_signal);
  }
}

function end_text({ reason, crashes }: CampaignResult, seed: number): string {
  const why = { runs: 'all programs are run', time: 'the time is up', stopped: 'stopped', crash: 'a finding' }[reason];
  return `${why}; ${crashes.length} new findings; seed ${seed}`;
}

function exit_status({ reason, crashes }: CampaignResult): number {
  if (reason === 'stopped') return EXIT_INTERRUPTED;
  return crashes.length > 0 ? EXIT_FINDING : EXIT_CLEAN;
}
