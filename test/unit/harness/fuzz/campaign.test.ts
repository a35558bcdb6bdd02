/** Campaigns with worker threads, on the toy kernel. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Campaign, type CampaignOptions, type CampaignResult } from '../../../../harness/fuzz/campaign.ts';
import { ThreadPool } from '../../../../harness/fuzz/pool.ts';
import { WorkDir } from '../../../../harness/fuzz/work_dir.ts';
import { type Defect, TOY_TARGET } from '../../../support/toy_kernel.ts';

const JOB = new URL('../../../support/toy_job.js', import.meta.url).href;
const root = mkdtempSync(join(tmpdir(), 'tvisor-campaign-'));
let directories = 0;

test.after(() => rmSync(root, { recursive: true, force: true }));

function new_dir(): string {
  return join(root, String(directories++));
}

async function make(defects: readonly Defect[], options: Partial<CampaignOptions>): Promise<Campaign> {
  process.env.TOY_DEFECTS = defects.join(',');
  const jobs = options.jobs ?? 1;
  const pool = await ThreadPool.create(jobs, JOB);
  return new Campaign({ target: TOY_TARGET, pool, jobs, seed: 5, verify_every: 100, ...options });
}

function describe({ corpus, crashes }: CampaignResult): string[] {
  return [...corpus.map(({ text, seed }) => `${seed} ${text}`), ...crashes.map(({ finding }) => finding.title)];
}

test('one worker with one seed does the same twice', async () => {
  const first = await (await make(['leak'], { runs: 3000 })).run();
  const second = await (await make(['leak'], { runs: 3000 })).run();
  assert.is(first.reason, 'runs');
  assert.ok(first.corpus.length > 10);
  assert.equal(describe(first), describe(second));
  assert.is(first.snapshot.execs, second.snapshot.execs);
});

test('two workers share corpus and signal, and find a defect once', async () => {
  const found: string[] = [];
  const campaign = await make(['panic', 'leak'], {
    jobs: 2,
    runs: 12_000,
    on_crash: ({ finding }) => found.push(finding.title),
  });
  const { corpus, snapshot } = await campaign.run();
  assert.is(new Set(found).size, found.length);
  assert.ok(found.includes('leak: File'), found.join());
  assert.is(new Set(corpus.map(({ text, seed }) => `${seed} ${text}`)).size, corpus.length);
  assert.ok(snapshot.execs >= 12_000);
  assert.is(snapshot.workers, 2);
});

test('everything is on disk at the end, and a second campaign goes on from there', async () => {
  const path = new_dir();
  const first = await (await make(['leak'], { runs: 3000, work_dir: WorkDir.open(path) })).run();
  const files = readdirSync(join(path, 'corpus'));
  assert.is(files.length, first.corpus.length);
  assert.not.ok(existsSync(join(path, 'lock')));
  assert.is(JSON.parse(readFileSync(join(path, 'stats.json'), 'utf8')).execs, first.snapshot.execs);

  const [crash] = readdirSync(join(path, 'crashes'));
  const names = ['description', 'log0', 'meta.json', 'report0', 'repro.c', 'repro.prog', 'schedule'];
  assert.equal(readdirSync(join(path, 'crashes', crash!)).sort(), names);
  const report = readFileSync(join(path, 'crashes', crash!, 'report0'), 'utf8');
  assert.match(report, /npx tvisor-harness repro .*\/repro\.prog\n$/);

  const work_dir = WorkDir.open(path);
  const { programs, problems } = work_dir.load(TOY_TARGET);
  assert.is(problems.length, 0);
  assert.is(programs.length, files.length);
  const second = await (await make(['leak'], { runs: 2000, seed: 6, work_dir, programs })).run();
  assert.is(second.snapshot.runs.load, files.length);
  assert.is(second.crashes.length, 0, 'the leak is known');
  assert.ok(second.snapshot.edges >= first.snapshot.edges * 0.9);
  for (const file of files) assert.ok(existsSync(join(path, 'corpus', file)));
});

test('a stop in the middle keeps what was found', async () => {
  const path = new_dir();
  const campaign: Campaign = await make([], {
    work_dir: WorkDir.open(path),
    progress: ({ corpus }) => {
      if (corpus > 5) campaign.stop('stopped');
    },
  });
  const { reason, corpus } = await campaign.run();
  assert.is(reason, 'stopped');
  assert.is(readdirSync(join(path, 'corpus')).length, corpus.length);
});

test('abandoning it keeps what was reported', async () => {
  const path = new_dir();
  const campaign: Campaign = await make([], {
    work_dir: WorkDir.open(path),
    progress: ({ corpus }) => {
      if (corpus > 5) campaign.abandon();
    },
  });
  const { reason, corpus } = await campaign.run();
  assert.is(reason, 'stopped');
  assert.ok(corpus.length > 5);
  assert.is(readdirSync(join(path, 'corpus')).length, corpus.length);
});

test('a worker that dies is replaced, and its program is a finding', async () => {
  const path = new_dir();
  const campaign: Campaign = await make(['death'], {
    work_dir: WorkDir.open(path),
    progress: ({ workers_lost }) => {
      if (workers_lost > 1) campaign.stop('stopped');
    },
  });
  const { crashes, snapshot } = await campaign.run();
  assert.ok(snapshot.workers_lost > 1, 'a replacement went on, and died too');
  assert.is(crashes.length, 1);
  const [{ finding, program }] = crashes as [(typeof crashes)[0]];
  assert.is(finding.title, 'lost worker: the toy kernel gives up its thread');
  assert.ok(program.calls.some(({ description }) => description.name === 'membarrier'));
});

test('a worker that is stuck is replaced, and its program is a finding', async () => {
  const campaign: Campaign = await make(['endless'], {
    stuck_s: 1,
    progress: ({ workers_lost }) => {
      if (workers_lost > 0) campaign.stop('stopped');
    },
  });
  const { crashes } = await campaign.run();
  const [{ finding, program }] = crashes as [(typeof crashes)[0]];
  assert.match(finding.title, /^stuck worker: .*membarrier/);
  assert.match(finding.details, /no answer for \d+ s/);
  assert.ok(program.calls.some(({ description }) => description.name === 'membarrier'));
});

test('files that are no programs are kept aside with the reason', () => {
  const path = new_dir();
  mkdirSync(join(path, 'corpus'), { recursive: true });
  const put = (name: string, text: string): void => writeFileSync(join(path, 'corpus', name), text);
  put('good.prog', '# seed 3\ngetpid()\n');
  put('unknown.prog', 'no_such_call(0x1)\n');
  put('broken.prog', 'write(0x1, &(0x7f00');
  put('empty.prog', '');
  put('README', 'not a program, left alone');
  const work_dir = WorkDir.open(path);
  const { programs, problems } = work_dir.load(TOY_TARGET);
  work_dir.close();
  assert.is(programs.length, 1);
  assert.is(programs[0]!.seed, 3);
  assert.is(problems.length, 3);
  assert.match(problems.join('\n'), /unknown\.prog: .*no_such_call/);
  assert.equal(readdirSync(join(path, 'corpus')).sort(), ['README', 'good.prog']);
  assert.is(readFileSync(join(path, 'unreadable', 'broken.prog'), 'utf8'), 'write(0x1, &(0x7f00');
  assert.ok(existsSync(join(path, 'unreadable', 'unknown.prog.reason')));
});

test('a directory of another version, or in use, is left alone', () => {
  const path = new_dir();
  mkdirSync(path);
  writeFileSync(join(path, 'workdir.json'), '{"format": 99}');
  assert.throws(() => WorkDir.open(path), /has format 99, and this version knows 1/);
  const busy = new_dir();
  mkdirSync(busy);
  writeFileSync(join(busy, 'lock'), '1\n');
  assert.throws(() => WorkDir.open(busy), /is running \(process 1\)/);
  assert.throws(() => WorkDir.open(busy, { fresh: true }), /is running/);
  writeFileSync(join(busy, 'lock'), '99999999\n');
  WorkDir.open(busy).close();
  assert.throws(() => WorkDir.open(join(busy, 'workdir.json', 'below')), /the work directory .*below: /);
});

test('fresh puts the old directory aside', async () => {
  const path = new_dir();
  const old = WorkDir.open(path);
  old.save_program('getpid()\n', 0);
  await old.rescue();
  old.close();
  WorkDir.open(path, { fresh: true }).close();
  assert.is(readdirSync(join(path, 'corpus')).length, 0);
  assert.is(readdirSync(join(`${path}.1`, 'corpus')).length, 1);
});

test.run();
