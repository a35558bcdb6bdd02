/**
 * The command of the CPU oracle:
 *
 *     npm run oracle:cpu -- [--seed S] [--count N] [--filter WORDS] [--limit N] [--from N] [--single]
 *         [--tiers LIST | --native] [--json] [--quiet]
 *
 * `--filter` takes mnemonics, features (sse2, x87 ...) or semantics, comma-separated; `--tiers` takes some of interp,
 * jit and parts (TIERS). `--native` compares the host with itself. An interrupt ends the run behind its batch, with the
 * command that goes on. Exit status 1 when something differed.
 */
import { filter_rows, NATIVE, type Options, type Progress, type Report, run_oracle, type Tier } from './cpu_oracle.ts';
import { TESTED_ROWS } from './generate.ts';
import { TIERS } from './interpreter.ts';
import { unavailable } from './native.ts';

/** How often a run that nobody looks at says where it is, ms. */
const REPORT_EVERY = 60_000;

interface Summary {
  readonly seed: number;
  readonly from: number;
  readonly snippets: number;
  /** Snippets compared, by tier. */
  readonly compared: Readonly<Record<string, number>>;
  /** Regions translated, by tier. */
  readonly regions: Readonly<Record<string, number>>;
  readonly rows: number;
  readonly rows_covered: number;
  readonly seconds: number;
  /** Processor time of this process, s: all of the run but the native runner's. */
  readonly cpu_seconds: number;
  readonly differences: readonly { readonly tier: string; readonly seed: number; readonly text: string }[];
  /** The command for what is left of the count. */
  readonly go_on: string | null;
}

function cpu_seconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function tiers_of(names: string | undefined): readonly Tier[] {
  if (names === undefined) return TIERS;
  return names.split(',').map((name) => {
    const tier = TIERS.find((known) => known.name === name);
    if (tier === undefined) throw new Error(`no tier is called ${name}: there are ${TIERS.map((known) => known.name)}`);
    return tier;
  });
}

/** Writes where a run is: over the line on a terminal, else now and then. */
function progress_line(count: number): (progress: Progress) => void {
  const started = Date.now();
  let written = started;
  return ({ run, differ }) => {
    const terminal = process.stderr.isTTY === true;
    if (!terminal && Date.now() - written < REPORT_EVERY) return;
    written = Date.now();
    const rate = ((run * 1000) / Math.max(written - started, 1)).toFixed(0);
    const line = `${run} of ${count} snippets, ${differ} differ, ${rate}/s`;
    process.stderr.write(terminal ? `\r\x1b[K${line}${run === count ? '\n' : ''}` : `${line}\n`);
  };
}

function summary_of(options: Options, report: Report, seconds: number): Summary {
  const from = options.from ?? 0;
  const next = from + report.run;
  const go_on = `npm run oracle:cpu -- --seed ${options.seed} --from ${next} --count ${options.count - report.run}${options.flags}`;
  return {
    seed: options.seed,
    from,
    snippets: report.run,
    compared: Object.fromEntries(report.compared),
    regions: Object.fromEntries(options.tiers.map((tier) => [tier.name, tier.regions()])),
    rows: options.rows.length,
    rows_covered: options.rows.filter((row) => report.covered.has(row)).length,
    seconds,
    cpu_seconds: cpu_seconds(),
    differences: report.failures.map(({ tier, seed, text }) => ({ tier, seed, text })),
    go_on: report.run < options.count ? go_on : null,
  };
}

function print(options: Options, report: Report, summary: Summary, quiet: boolean): void {
  if (!quiet) for (const failure of report.failures) console.log(`${failure.text}\n`);
  const counts = [...report.mismatched].sort((a, b) => b[1] - a[1]).map(([key, count]) => `${key} ${count}`);
  if (counts.length > 0) console.log(`differences by semantics: ${counts.join(', ')}`);
  const missing = options.rows.filter((row) => !report.covered.has(row));
  if (missing.length > 0 && missing.length < 20)
    console.log(`never ran to an end: ${missing.map((row) => `${row.mnemonic} [${row.encoding}]`).join(', ')}`);
  console.log(`rows covered: ${summary.rows_covered} of ${summary.rows} (${TESTED_ROWS.length} tested in all)`);
  const tiers = Object.entries(summary.compared).map(([name, count]) => {
    const regions = summary.regions[name] as number;
    return `${count} in ${name}${regions > 0 ? ` (${regions} regions)` : ''}`;
  });
  const { seed, snippets, seconds, cpu_seconds: cpu } = summary;
  const rate = `${seconds.toFixed(1)} s, ${cpu.toFixed(1)} s of processor time`;
  console.log(
    `seed ${seed}: ${snippets} snippets, compared ${tiers.join(', ')}, ${report.failures.length} differ, ${rate}`,
  );
  if (summary.go_on !== null) console.log(`go on: ${summary.go_on}`);
}

async function main(argv: readonly string[]): Promise<number> {
  const flag = (name: string): string | undefined => {
    const at = argv.indexOf(name);
    return at < 0 ? undefined : argv[at + 1];
  };
  const reason = unavailable();
  if (reason !== '') {
    console.log(`skipped: ${reason}`);
    return 0;
  }
  const filter = flag('--filter');
  const tiers = flag('--tiers');
  const count = Number(flag('--count') ?? 20_000);
  let interrupted = false;
  process.on('SIGINT', () => {
    interrupted = true;
  });
  const show = progress_line(count);
  const options: Options = {
    seed: Number(flag('--seed') ?? Date.now() % 1_000_000),
    count,
    rows: filter_rows(filter),
    tiers: argv.includes('--native') ? [NATIVE] : tiers_of(tiers),
    limit: Number(flag('--limit') ?? 10),
    from: Number(flag('--from') ?? 0),
    single: argv.includes('--single'),
    flags:
      (filter === undefined ? '' : ` --filter ${filter}`) +
      (argv.includes('--single') ? ' --single' : '') +
      (tiers === undefined ? '' : ` --tiers ${tiers}`),
    proceed: (progress) => {
      show(progress);
      return !interrupted;
    },
  };
  const started = Date.now();
  const report = await run_oracle(options);
  const summary = summary_of(options, report, (Date.now() - started) / 1000);
  if (argv.includes('--json')) console.log(JSON.stringify(summary));
  else print(options, report, summary, argv.includes('--quiet'));
  return report.failures.length > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
