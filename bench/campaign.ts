/**
 * What a campaign's worker costs: its loop in this thread, from nothing and always the same, by processor time.
 *
 *     node dist/bundle/kcov/bench_campaign.cjs [--programs N] [--rounds N] [--seed S] [--profile] [--top N]
 *
 * The same campaign runs several times. A line tells of a round what a program took of this thread's processor time, and
 * of the whole process's, in which V8's compiler and collector are. The last one adds up the least that each stretch of
 * programs took in any round but the first, which the compiler has: other work on the host comes and goes. Campaigns of
 * two builds are the same if their last numbers are. With --profile, where the last round's time goes follows; the
 * profiler itself takes a tenth.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { create_executor } from '../harness/exec/machine_executor.ts';
import { type CampaignWorker, make_campaign_worker } from './campaign_worker.ts';
import { profile, type Share } from './stages.ts';

/** Programs of one stretch: some 50 ms. */
const STRETCH = 500;

const { values } = parseArgs({
  options: {
    programs: { type: 'string', default: '30000' },
    rounds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    profile: { type: 'boolean', default: false },
    top: { type: 'string', default: '30' },
  },
});
const programs = Number(values.programs);
const rounds = Number(values.rounds);

/** Processor time of this thread in us, where the host tells it; otherwise the process's. */
function thread_us(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e3;
  } catch {
    return process_us();
  }
}

function process_us(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Runs a campaign: what each stretch of it took, in us. */
function run_campaign({ fuzzer, stats }: CampaignWorker): number[] {
  const took: number[] = [];
  for (let before = thread_us(); !fuzzer.stop(); ) {
    const end = stats.execs + STRETCH;
    while (!fuzzer.stop() && stats.execs < end) fuzzer.step();
    const now = thread_us();
    took.push(now - before);
    before = now;
  }
  return took;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function table(title: string, shares: readonly Share[], most: number): void {
  process.stdout.write(`\n${title}\n`);
  for (const { name, share } of shares.slice(0, most))
    process.stdout.write(`${(share * 100).toFixed(1).padStart(6)} %  ${name}\n`);
}

function tell(text: string, worker: CampaignWorker, took: number, process_took: number): void {
  const { stats } = worker;
  const rate = `${((stats.execs / took) * 1e6).toFixed(0)} programs/s, ${((stats.get('calls') / took) * 1e6).toFixed(0)} calls/s`;
  const of_process = process_took > 0 ? `, ${(process_took / stats.execs).toFixed(1)} us of the process` : '';
  process.stdout.write(`${text}  ${(took / stats.execs).toFixed(1)} us a program${of_process}: ${rate}\n`);
}

const executor = create_executor();
let least: number[] = [];
for (let round = 1; round <= rounds; round++) {
  const worker = make_campaign_worker(executor, Number(values.seed), programs);
  const { stats, fuzzer, findings } = worker;
  const before = process_us();
  let took: number[] = [];
  const work = (): void => {
    took = run_campaign(worker);
  };
  const shares = values.profile && round === rounds ? profile(work) : undefined;
  if (shares === undefined) work();
  tell(`round ${round}`, worker, sum(took), process_us() - before);
  if (round > 1 && shares === undefined)
    least = least.length === 0 ? took : least.map((time, i) => Math.min(time, took[i] ?? time));
  if (shares !== undefined) {
    table('stages', shares.stages, Number.POSITIVE_INFINITY);
    table('functions, own time', shares.functions, Number(values.top));
    table('handlers, with what they call', shares.handlers, Number(values.top));
  }
  if (round < rounds) continue;
  const calls = (stats.get('calls') / stats.execs).toFixed(2);
  if (least.length > 0) tell('least  ', worker, sum(least), 0);
  process.stdout.write(`${stats.execs} programs of ${calls} calls, ${fuzzer.corpus.size} entries, `);
  process.stdout.write(`${stats.get('calls')} calls, ${stats.get('dirty_pages')} pages\n`);
  for (const title of findings) process.stdout.write(`finding: ${title}\n`);
}
executor.close();
