/**
 * The command of the CPU oracle:
 *
 *     npm run oracle:cpu -- [--seed S] [--count N] [--filter WORDS] [--limit N] [--from N] [--single] [--native | --jit] [--quiet]
 *
 * `--filter` takes mnemonics, features (sse2, x87 ...) or semantics, comma-separated. `--native` compares the
 * host with itself, `--jit` runs the snippets through the translator. Exit status 1 when something differed.
 */
import { filter_rows, native_executor, run_oracle } from './cpu_oracle.ts';
import { TESTED_ROWS } from './generate.ts';
import { interpreter_executor, jit_executor } from './interpreter.ts';
import { unavailable } from './native.ts';

function main(argv: readonly string[]): number {
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
  const rows = filter_rows(filter);
  const seed = Number(flag('--seed') ?? Date.now() % 1_000_000);
  const count = Number(flag('--count') ?? 20_000);
  const started = Date.now();
  const report = run_oracle({
    seed,
    count,
    rows,
    executor: argv.includes('--native')
      ? native_executor
      : argv.includes('--jit')
        ? jit_executor
        : interpreter_executor,
    limit: Number(flag('--limit') ?? 10),
    from: Number(flag('--from') ?? 0),
    single: argv.includes('--single'),
    flags:
      (filter === undefined ? '' : ` --filter ${filter}`) +
      (argv.includes('--single') ? ' --single' : '') +
      (argv.includes('--jit') ? ' --jit' : ''),
  });
  if (!argv.includes('--quiet')) for (const failure of report.failures) console.log(failure.text + '\n');
  const counts = [...report.mismatched].sort((a, b) => b[1] - a[1]).map(([key, count]) => `${key} ${count}`);
  if (counts.length > 0) console.log(`differences by semantics: ${counts.join(', ')}`);
  const seconds = (Date.now() - started) / 1000;
  const missing = rows.filter((row) => !report.covered.has(row));
  if (missing.length > 0 && missing.length < 20)
    console.log(`never ran to an end: ${missing.map((row) => `${row.mnemonic} [${row.encoding}]`).join(', ')}`);
  console.log(`rows covered: ${rows.length - missing.length} of ${rows.length} (${TESTED_ROWS.length} tested in all)`);
  console.log(
    `seed ${seed}: ${report.run} snippets, ${report.compared} compared, ${report.failures.length} differ, ${seconds.toFixed(1)} s`,
  );
  return report.failures.length > 0 ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
