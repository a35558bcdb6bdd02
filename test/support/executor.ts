/** Running programs as text on an executor, with what came of each call as text. */

import type { ExecOptions, ExecOutcome, Executor } from '../../harness/exec/executor.ts';
import { create_executor } from '../../harness/exec/machine_executor.ts';
import { exec_encode } from '../../harness/prog/exec_encode.ts';
import { program } from './programs.ts';

export const CHECK_ALL: ExecOptions = { collect: 'none', seed: 1, check_leaks: true, verify_reset: true };

let shared: Executor | null = null;

/** The test process's executor, made at first use. */
export function executor(): Executor {
  shared ??= create_executor();
  return shared;
}

/** Runs lines of program text with every check. */
export function run_lines(lines: readonly string[], options: Partial<ExecOptions> = {}): ExecOutcome {
  return executor().run(exec_encode(program(...lines)), { ...CHECK_ALL, ...options });
}

/** Each call's result; '-' never started, '...' not finished, '!' with an injected fault; status and findings in front. */
export function summary(outcome: ExecOutcome): string {
  const calls = outcome.calls.map(({ started, finished, result, fault_injected }) => {
    if (!started) return '-';
    return `${finished ? result : '...'}${fault_injected ? '!' : ''}`;
  });
  const leaks = outcome.leaks.map(({ record, before, after }) => `leak ${record} ${before}->${after}`);
  const panic = outcome.panic === null ? [] : [`${outcome.panic.kind} ${outcome.panic.message}`];
  return [outcome.status, ...leaks, ...panic, outcome.corruption, calls.join(' ')].filter((s) => s !== '').join(': ');
}
