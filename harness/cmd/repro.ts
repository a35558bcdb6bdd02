/** `tvisor-harness repro`: runs a program again and tells what the oracles say. */
import { EXIT_CLEAN, EXIT_FINDING } from '../errors.ts';
import type { ExecOutcome } from '../exec/executor.ts';
import { type Kernel, open_kernel } from '../fuzz/kernel.ts';
import type { SeededProgram } from '../fuzz/program_file.ts';
import { compare_runs, fingerprint_of } from '../oracle/determinism.ts';
import type { Finding } from '../oracle/finding.ts';
import { print_call } from '../prog/print.ts';
import type { Command, CommandLine } from './command.ts';
import { read_program } from './files.ts';

const RUNS = 3;

export const repro_command: Command = {
  name: 'repro',
  usage: '<FILE>',
  summary: 'Run a program again, and tell what is found',
  flags: [
    { name: 'runs', short: 'n', value: 'N', help: `how often (default ${RUNS})` },
    { name: 'seed', value: 'N', help: "order of the program's tasks, instead of the file's" },
    { name: 'json', value: '', help: 'an object for each run' },
  ],
  examples: ['repro tvisor-fuzz/crashes/0123456789abcdef/repro.prog', 'repro -n 100 program.prog'],
  instrumented: true,
  run: run_repro,
};

async function run_repro(line: CommandLine): Promise<number> {
  const kernel = open_kernel(false);
  const given = read_program(kernel.target, line.argument(0, 'FILE'));
  const seed = line.integer('seed', given.seed, 0, 0xffff_ffff);
  const runs = line.integer('runs', RUNS, 1);
  const findings = replay_runs(kernel, { program: given.program, seed }, runs, (run, outcome, finding) => {
    process.stdout.write(line.has('json') ? json_line(run, outcome, finding) : text_of(run, given, outcome, finding));
  });
  kernel.executor.close();
  if (!line.has('json')) process.stdout.write(`${findings.length} of ${runs} runs showed a finding\n`);
  return findings.length > 0 ? EXIT_FINDING : EXIT_CLEAN;
}

/** Runs the program so often; a run that differs from the first is a finding too. */
export function replay_runs(
  { runner }: Kernel,
  { program, seed }: SeededProgram,
  runs: number,
  report: (run: number, outcome: ExecOutcome, finding: Finding | undefined) => void = () => {},
): Finding[] {
  const findings: Finding[] = [];
  let first: ReturnType<typeof fingerprint_of> | undefined;
  for (let run = 1; run <= runs; run++) {
    const { outcome, finding: judged } = runner.run({ program, seed, kind: 'findings', verify: true });
    const fingerprint = fingerprint_of(outcome);
    first ??= fingerprint;
    const finding = judged ?? compare_runs(program, first, fingerprint);
    if (finding !== undefined) findings.push(finding);
    report(run, outcome, finding);
  }
  return findings;
}

function call_text({ started, finished, result, fault_injected, pcs }: ExecOutcome['calls'][number]): string {
  const blocks = pcs.length > 0 ? `, ${pcs.length} blocks` : '';
  const fault = fault_injected ? ', a fault was injected' : '';
  if (!started) return 'not started';
  return `${finished ? `= ${result}` : 'blocks'}${fault}${blocks}`;
}

function text_of(run: number, { program }: SeededProgram, outcome: ExecOutcome, finding: Finding | undefined): string {
  const end = finding === undefined ? '' : `FINDING ${finding.title}\n${finding.details}\n`;
  // The calls are shown once: they do the same each time, or the difference is a finding.
  if (run > 1) return `run ${run}: ${outcome.status}\n${end}`;
  const calls = outcome.calls.map((call, i) => `${print_call(program, i).trimEnd()}  # ${call_text(call)}\n`);
  return `${calls.join('')}run ${run}: ${outcome.status}\n${end}`;
}

function json_line(run: number, { status, calls }: ExecOutcome, finding: Finding | undefined): string {
  const results = calls.map(({ started, finished, result }) =>
    finished ? result : started ? 'blocks' : 'not started',
  );
  return `${JSON.stringify({ run, status, results, title: finding?.title ?? null })}\n`;
}
