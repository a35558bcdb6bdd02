/** Which programs of several are worth keeping, by what they cover. */
import type { SeededProgram } from './program_file.ts';
import type { Runner } from './runner.ts';
import { edges_of } from './signal.ts';

/** A program that was run. */
export interface Sample extends SeededProgram {
  /** Edges of all its calls, each once; the calls are told apart by their place in no way. */
  readonly edges: ReadonlySet<number>;
  /** Calls: what it costs to run it. */
  readonly cost: number;
}

/** Runs a program for its edges; undefined when an oracle objects. */
export function sample(runner: Runner, { program, seed }: SeededProgram): Sample | undefined {
  const { outcome, finding } = runner.run({ program, seed, kind: 'load' });
  if (finding !== undefined) return undefined;
  const edges = new Set<number>();
  for (const { pcs } of outcome.calls) for (const edge of edges_of(pcs)) edges.add(edge);
  return { program, seed, edges, cost: program.calls.length };
}

/**
 * A small part of the samples that has all their edges: for each edge that is not there yet, the cheapest program that
 * has it, edges of few programs first (as afl-cmin does). Answers indices, ascending.
 */
export function distill(samples: readonly Sample[]): number[] {
  const cheapest = new Map<number, number>();
  const users = new Map<number, number>();
  for (const [i, { edges, cost }] of samples.entries())
    for (const edge of edges) {
      const known = cheapest.get(edge);
      if (known === undefined || cost < samples[known]!.cost) cheapest.set(edge, i);
      users.set(edge, (users.get(edge) ?? 0) + 1);
    }
  const rare_first = [...cheapest.keys()].sort((a, b) => users.get(a)! - users.get(b)! || a - b);
  const kept = new Set<number>();
  const covered = new Set<number>();
  for (const edge of rare_first) {
    if (covered.has(edge)) continue;
    const chosen = cheapest.get(edge)!;
    kept.add(chosen);
    for (const own of samples[chosen]!.edges) covered.add(own);
  }
  return [...kept].sort((a, b) => a - b);
}
