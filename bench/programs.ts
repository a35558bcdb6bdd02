/**
 * What the fuzz harness does: system calls as programs (part 'calls'); programs a second of the executor and of a
 * campaign's worker, and the time of a reset (part 'harness'). It is bundled with each variant of the engine: plain, and
 * instrumented for kcov.
 *
 *     node dist/bundle/bench_programs.cjs MILLISECONDS quick|full [case...]
 */
import { performance } from 'node:perf_hooks';
import { make_target } from '../harness/desc/target.ts';
import type { Collect, ExecOptions, Executor } from '../harness/exec/executor.ts';
import { create_executor } from '../harness/exec/machine_executor.ts';
import { make_choice_table } from '../harness/prog/choice_table.ts';
import { exec_encode } from '../harness/prog/exec_encode.ts';
import { generate_program } from '../harness/prog/generate.ts';
import { Random } from '../harness/prog/random.ts';
import { make_campaign_worker } from './campaign_worker.ts';
import { quantile } from './core/stats.ts';
import { dirtying_program, PROGRAM_CASES, type ProgramCase, program_of } from './program_calls.ts';
import { is_wanted, QUICK, report, TIME_MS } from './script.ts';

const PLAIN: ExecOptions = { collect: 'none', seed: 1, check_leaks: false, verify_reset: false };

/** Runs a program, and says how long that took in ms. Throws when a call fails, which would be measured otherwise. */
function timed(executor: Executor, program: Uint32Array, name: string): number {
  const start = performance.now();
  const { status, calls } = executor.run(program, PLAIN);
  const took = performance.now() - start;
  const bad = calls.findIndex(({ finished, result }) => !finished || result < 0);
  if (status !== 'done' || bad >= 0)
    throw new Error(`${name}: ${status}, call ${bad} ended with ${calls[bad]?.result}`);
  return took;
}

/** ns a round: a program's time from its words to the reset, over its rounds, of which there are some thousand. */
function measure_calls(executor: Executor, item: ProgramCase): void {
  const program = program_of(item, item.rounds);
  const samples: number[] = [];
  const start = performance.now();
  while (samples.length < 3 || (!QUICK && performance.now() - start < TIME_MS))
    samples.push((timed(executor, program, item.name) / item.rounds) * 1e6);
  // The first rounds are for the compiler.
  const kept = samples.slice(Math.floor(samples.length / 5)).slice(-200);
  report({ suite: 'syscalls', name: item.name, column: 'program', unit: 'ns', better: 'lower', samples: kept });
}

function run_calls(): void {
  const executor = create_executor({ sanitize: false });
  for (const item of PROGRAM_CASES) if (is_wanted(item.name)) measure_calls(executor, item);
  executor.close();
}

const PROGRAMS = 200;
const CALLS = 10;

/** Random programs of about ten calls, always the same. */
function random_programs(): Uint32Array[] {
  const target = make_target();
  const table = make_choice_table(target);
  const random = new Random(1);
  return Array.from({ length: QUICK ? 5 : PROGRAMS }, () =>
    exec_encode(generate_program(target, table, random, CALLS)),
  );
}

function measure_programs(executor: Executor, column: string, collect: Collect): void {
  const name = `programs of ${CALLS} calls, leak check`;
  if (!is_wanted(name)) return;
  const programs = random_programs();
  const options: ExecOptions = { collect, seed: 1, check_leaks: true, verify_reset: false };
  const samples: number[] = [];
  const start = performance.now();
  while (samples.length === 0 || (!QUICK && performance.now() - start < TIME_MS)) {
    const before = performance.now();
    for (const program of programs) executor.run(program, options);
    samples.push((programs.length / (performance.now() - before)) * 1000);
  }
  // The first rounds are for the compiler.
  const kept = samples.slice(Math.floor(samples.length / 5));
  report({ suite: 'harness', name, column, unit: '1/s', better: 'higher', samples: kept });
}

/** Programs that a campaign runs before it is measured, in each sample, and at most. */
const CAMPAIGN_WARM = 10_000;
const CAMPAIGN_BATCH = 2000;
const CAMPAIGN_MOST = 60_000;

/** A campaign from nothing, always the same: one worker's loop, with coverage, leak check and resets. */
function measure_campaign(executor: Executor, column: string): void {
  const name = 'campaign of one worker';
  if (!is_wanted(name)) return;
  const { fuzzer, stats } = make_campaign_worker(executor, 1, QUICK ? 50 : CAMPAIGN_MOST);
  const samples: number[] = [];
  let before = performance.now();
  for (let execs = 0; !fuzzer.stop(); ) {
    fuzzer.step();
    const ran = stats.execs - execs;
    if (ran < (QUICK ? 10 : CAMPAIGN_BATCH)) continue;
    const now = performance.now();
    if (QUICK || stats.execs > CAMPAIGN_WARM) samples.push((ran / (now - before)) * 1000);
    before = now;
    execs = stats.execs;
  }
  report({ suite: 'harness', name, column, unit: '1/s', better: 'higher', samples });
}

const DIRTY = [1, 10, 50, 200, 1000];
const BATCH = 50;

/** Reset times by how many pages a program dirtied: p50 and p99 of batches. */
function measure_resets(executor: Executor, column: string): void {
  for (const pages of DIRTY) {
    const name = `reset, ${pages} pages of the guest's dirty`;
    if (!is_wanted(name)) continue;
    const program = dirtying_program(pages);
    const middles: number[] = [];
    const tails: number[] = [];
    const start = performance.now();
    while (middles.length === 0 || (!QUICK && performance.now() - start < TIME_MS)) {
      const times: number[] = [];
      for (let i = 0; i < (QUICK ? 2 : BATCH); i++) times.push(executor.run(program, PLAIN).reset_ns);
      middles.push(quantile(times, 0.5));
      tails.push(quantile(times, 0.99));
    }
    const common = { suite: 'harness', column, unit: 'ns', better: 'lower' } as const;
    const kept = Math.floor(middles.length / 5);
    report({ ...common, name: `${name}, p50`, samples: middles.slice(kept) });
    report({ ...common, name: `${name}, p99`, samples: tails.slice(kept) });
  }
}

function run_harness(): void {
  const executor = create_executor();
  if (process.env.TVISOR_BENCH_ENGINE === 'kcov') {
    measure_programs(executor, 'kcov, not tracing', 'none');
    if (executor.instrumented) {
      measure_programs(executor, 'kcov, tracing', 'pc');
      measure_campaign(executor, 'kcov, tracing');
    }
  } else {
    measure_programs(executor, 'plain', 'none');
    measure_resets(executor, 'plain');
  }
  executor.close();
}

if (process.env.TVISOR_BENCH_PART === 'calls') run_calls();
else run_harness();
