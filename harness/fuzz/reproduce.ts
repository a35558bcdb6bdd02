/** Runs a program again to see whether a finding recurs, and makes it smaller while it does. */
import { compare_runs, fingerprint_of } from '../oracle/determinism.ts';
import type { Finding } from '../oracle/finding.ts';
import { minimize } from '../prog/minimize.ts';
import type { Program } from '../prog/model.ts';
import type { Runner } from './runner.ts';
import type { RunKind } from './stats.ts';

/** What one look at a program finds: one run, or two where determinism is the question. */
export function examine(runner: Runner, program: Program, seed: number, wanted: Finding['kind']): Finding | undefined {
  const kind: RunKind = 'findings';
  const first = runner.run({ program, seed, kind, verify: wanted === 'corruption' });
  if (first.finding !== undefined || wanted !== 'non_determinism') return first.finding;
  const before = fingerprint_of(first.outcome);
  const second = runner.run({ program, seed, kind });
  return second.finding ?? compare_runs(program, before, fingerprint_of(second.outcome));
}

/** True when the program shows the finding again, by its title. */
export function recurs(runner: Runner, program: Program, seed: number, finding: Finding): boolean {
  return examine(runner, program, seed, finding.kind)?.title === finding.title;
}

/** The smallest program found that still shows the finding; `max_tries` runs at most, none when `stop` says so. */
export function minimize_finding(
  runner: Runner,
  program: Program,
  seed: number,
  finding: Finding,
  max_tries: number,
  stop: () => boolean = () => false,
): Program {
  const holds = (copy: Program): boolean => !stop() && recurs(runner, copy, seed, finding);
  return minimize(program, -1, holds, { max_tries }).program;
}
