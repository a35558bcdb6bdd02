/** A worker's fuzzer on the toy kernel, with what it reports. */

import type { Entry } from '../../harness/fuzz/corpus.ts';
import { type Crash, Fuzzer } from '../../harness/fuzz/fuzzer.ts';
import { BlackBox, Runner } from '../../harness/fuzz/runner.ts';
import { SignalSet } from '../../harness/fuzz/signal.ts';
import { Stats } from '../../harness/fuzz/stats.ts';
import { Random } from '../../harness/prog/random.ts';
import { type Defect, TOY_TARGET, ToyKernel } from './toy_kernel.ts';

export interface ToyCampaign {
  readonly fuzzer: Fuzzer;
  readonly kernel: ToyKernel;
  readonly runner: Runner;
  readonly black_box: BlackBox;
  readonly stats: Stats;
  readonly known: SignalSet;
  readonly inputs: Entry[];
  readonly crashes: Crash[];
  readonly repeated: string[];
}

export function toy_campaign(seed: number, defects: readonly Defect[] = [], most_runs = 8000): ToyCampaign {
  const kernel = new ToyKernel(...defects);
  const stats = new Stats();
  const known = new SignalSet(undefined, 14);
  const black_box = new BlackBox();
  const runner = new Runner(kernel, TOY_TARGET, stats, black_box, 100);
  const inputs: Entry[] = [];
  const crashes: Crash[] = [];
  const repeated: string[] = [];
  const fuzzer = new Fuzzer({
    target: TOY_TARGET,
    runner,
    random: new Random(seed),
    known,
    stats,
    sink: {
      input: (entry) => inputs.push(entry),
      crash: (crash) => crashes.push(crash),
      repeated: (title) => repeated.push(title),
    },
    stop: () => stats.execs >= most_runs,
  });
  return { fuzzer, kernel, runner, black_box, stats, known, inputs, crashes, repeated };
}

/** Fuzzes until `done` or until the campaign's runs are used up. */
export function fuzz_until(campaign: ToyCampaign, done: () => boolean = () => false): void {
  while (!done() && !campaign.fuzzer.stop()) campaign.fuzzer.step();
}
