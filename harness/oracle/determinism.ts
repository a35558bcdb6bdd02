/** The oracle of determinism: two runs of a program with one seed must be the same, block for block. */
import type { ExecOutcome } from '../exec/executor.ts';
import { hash_trace } from '../fuzz/signal.ts';
import type { Program } from '../prog/model.ts';
import type { Finding } from './finding.ts';

/** What two runs of a program must have in common; small enough to keep. */
export interface Fingerprint {
  readonly status: string;
  /** For each call: how far it came, what it answered, how many blocks ran and a hash of them in order. */
  readonly calls: readonly CallFingerprint[];
}

export interface CallFingerprint {
  readonly progress: 'not started' | 'blocked' | 'finished';
  readonly result: number;
  readonly blocks: number;
  readonly trace: number;
}

export function fingerprint_of(outcome: ExecOutcome): Fingerprint {
  const calls = outcome.calls.map(({ started, finished, result, pcs }) => ({
    progress: finished ? ('finished' as const) : started ? ('blocked' as const) : ('not started' as const),
    result: finished ? result : 0,
    blocks: pcs.length,
    trace: hash_trace(pcs),
  }));
  return { status: outcome.status, calls };
}

/** What differs between two runs; undefined when nothing does. */
export function compare_runs(program: Program, first: Fingerprint, second: Fingerprint): Finding | undefined {
  if (first.status !== second.status)
    return difference(program, -1, 'status', `the first run ended as ${first.status}, the second as ${second.status}`);
  for (const [i, one] of first.calls.entries()) {
    const other = second.calls[i];
    if (other === undefined) return difference(program, i, 'calls', 'the second run has fewer calls');
    if (one.progress !== other.progress)
      return difference(program, i, 'progress', `${one.progress} in the first run, ${other.progress} in the second`);
    if (one.result !== other.result)
      return difference(program, i, 'result', `${one.result} in the first run, ${other.result} in the second`);
    if (one.blocks !== other.blocks || one.trace !== other.trace)
      return difference(program, i, 'coverage', `${one.blocks} blocks in the first run, ${other.blocks} in the second`);
  }
  return undefined;
}

function difference(program: Program, call: number, what: string, text: string): Finding {
  const name = program.calls[call]?.description.row.name ?? 'the program';
  const details = `Two runs of the program with the same seed differ.\ncall ${call} (${name}), ${what}: ${text}`;
  return { kind: 'non_determinism', title: `non-determinism: ${what} of ${name}`, details, call };
}
