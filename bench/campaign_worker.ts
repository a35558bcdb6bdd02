/** A campaign's worker as benchmarks run it: from nothing, seeded, without another thread. */
import { make_target } from '../harness/desc/target.ts';
import type { Executor } from '../harness/exec/executor.ts';
import { Fuzzer } from '../harness/fuzz/fuzzer.ts';
import { BlackBox, Runner } from '../harness/fuzz/runner.ts';
import { SignalSet } from '../harness/fuzz/signal.ts';
import { Stats } from '../harness/fuzz/stats.ts';
import { Random } from '../harness/prog/random.ts';

/** Programs between two verifications of the reset, as in a campaign by default. */
const VERIFY_EVERY = 1000;

export interface CampaignWorker {
  readonly fuzzer: Fuzzer;
  readonly stats: Stats;
  /** Titles of findings so far. */
  readonly findings: string[];
}

/** A worker that stops after `most` programs. The same seed gives the same programs. */
export function make_campaign_worker(executor: Executor, seed: number, most: number): CampaignWorker {
  const target = make_target();
  const stats = new Stats();
  const findings: string[] = [];
  const fuzzer = new Fuzzer({
    target,
    runner: new Runner(executor, target, stats, new BlackBox(), VERIFY_EVERY),
    random: new Random(seed),
    known: new SignalSet(),
    stats,
    sink: { input: () => {}, crash: ({ finding }) => findings.push(finding.title), repeated: () => {} },
    stop: () => stats.execs >= most,
  });
  return { fuzzer, stats, findings };
}
