import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EFAULT } from '../../../../engine/abi/errno.ts';
import type { CallOutcome, ExecOutcome, PanicInfo } from '../../../../harness/exec/executor.ts';
import { parse_file } from '../../../../harness/fuzz/program_file.ts';
import { compare_runs, fingerprint_of } from '../../../../harness/oracle/determinism.ts';
import { title_hash } from '../../../../harness/oracle/finding.ts';
import { judge } from '../../../../harness/oracle/judge.ts';
import { crash_files, repro_line } from '../../../../harness/oracle/report.ts';
import { c_program } from '../../../../harness/oracle/repro_c.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { assign_async } from '../../../../harness/prog/race.ts';
import { each_seed, program, random_program, TARGET } from '../../../support/programs.ts';

const PROGRAM = program('r0 = eventfd2(0x7, 0x0)', 'fcntl$F_DUPFD(r0, 0x0, 0x5)');

function outcome(changes: Partial<ExecOutcome> = {}, ...calls: Partial<CallOutcome>[]): ExecOutcome {
  const call = { started: true, finished: true, result: 0, fault_injected: false, comparisons: [] };
  return {
    status: 'done',
    calls: calls.map((own) => ({ ...call, pcs: new Uint32Array([1, 2]), ...own })),
    panic: null,
    leaks: [],
    corruption: '',
    dirty_pages: 0,
    reset_ns: 0,
    ...changes,
  };
}

const PANIC: PanicInfo = {
  kind: 'lock_order',
  message: 'inode 0x1234 after pipe 0x88',
  function_name: 'pipe_release',
  record: 'Pipe',
  call: 1,
  stack: 'at pipe_release',
};

test('titles come from structure, without addresses', () => {
  const titles = [
    judge(PROGRAM, outcome({ status: 'panic', panic: PANIC })),
    judge(PROGRAM, outcome({ status: 'panic', panic: { ...PANIC, kind: 'exception', record: '' } })),
    judge(PROGRAM, outcome({ status: 'hang' }, {}, { finished: false })),
    judge(PROGRAM, outcome({ status: 'corrupt', corruption: 'Inode at 0x77a0: nlink 3, not 2' })),
    judge(PROGRAM, outcome({ leaks: ['Pipe', 'File'].map((record) => ({ record, before: 1, after: 2 })) })),
    judge(
      PROGRAM,
      outcome({
        lost_wakeups: [
          { call: 0, result: -EFAULT },
          { call: 1, result: 0 },
        ],
      }),
    ),
    judge(program('poll(0x0, 0x0, 0x0)'), outcome({ lost_wakeups: [{ call: 0, result: 1 }] })),
    judge(program('connect(0x0, 0x0, 0x0)'), outcome({ lost_wakeups: [{ call: 0, result: -2 }] })),
    judge(PROGRAM, outcome()),
  ].map((finding) => finding?.title);
  assert.equal(titles, [
    'lock order: Pipe in pipe_release',
    'exception: in pipe_release',
    'hang: fcntl',
    'corruption: Inode at N nlink N not N',
    'leak: File, Pipe',
    'lost wake-up: fcntl',
    undefined,
    undefined,
    undefined,
  ]);
  assert.match(title_hash('a'), /^[0-9a-f]{16}$/);
  assert.is.not(title_hash('a'), title_hash('b'));
});

test('two runs are the same only block for block', () => {
  const title = (first: ExecOutcome, second: ExecOutcome): string | undefined =>
    compare_runs(PROGRAM, fingerprint_of(first), fingerprint_of(second))?.title;
  assert.is(title(outcome({}, {}, {}), outcome({}, {}, {})), undefined);
  assert.is(title(outcome({}, {}), outcome({}, { result: -9 })), 'non-determinism: result of eventfd2');
  assert.is(title(outcome({}, {}), outcome({}, { finished: false })), 'non-determinism: progress of eventfd2');
  const swapped = { pcs: new Uint32Array([2, 1]) };
  assert.is(title(outcome({}, {}, {}), outcome({}, {}, swapped)), 'non-determinism: coverage of fcntl');
  assert.is(title(outcome({}), outcome({ status: 'hang' })), 'non-determinism: status of the program');
});

test('the files of a finding', () => {
  const finding = judge(PROGRAM, outcome({ status: 'panic', panic: PANIC }))!;
  const crash = { finding, program: PROGRAM, original: PROGRAM, seed: 7, recurs: true, before: [] };
  const files = crash_files({ crash, elapsed_s: 12, execs: 345 }, 'work/crashes/x');
  const read = parse_file(TARGET, files['repro.prog']!);
  assert.is(print_program(read.program), print_program(PROGRAM));
  assert.is(read.seed, 7);
  assert.is(files.description, 'lock order: Pipe in pipe_release\n');
  for (const part of ['inode 0x1234 after pipe 0x88', 'call 1: fcntl', 'It recurs each time.'])
    assert.ok(files.report0!.includes(part), part);
  assert.ok(files.report0!.endsWith(`\n${repro_line('work/crashes/x')}\n`));
  assert.is(repro_line("it's here/x"), "npx tvisor-harness repro 'it'\\''s here/x/repro.prog'");
  assert.is(JSON.parse(files['meta.json']!).title, finding.title);
  assert.is(JSON.parse(files.schedule!).seed, 7);
});

const compiler = spawnSync('cc', ['--version']).status === 0;
if (!compiler) console.log('there is no C compiler: repro.c is not compiled');

test('repro.c compiles without a warning, and makes the same calls', () => {
  if (!compiler) return;
  const folder = mkdtempSync(join(tmpdir(), 'tvisor-repro-'));
  const compile = (text: string): { status: number | null; stderr: string } => {
    writeFileSync(join(folder, 'repro.c'), text);
    return spawnSync(
      'cc',
      ['-Wall', '-Wextra', '-Werror', '-pthread', '-o', join(folder, 'repro'), join(folder, 'repro.c')],
      {
        encoding: 'utf8',
      },
    );
  };
  each_seed(4, (random) => {
    const sample = random_program(random, 6);
    const text = c_program(assign_async(random, sample) ?? sample, 'a */ title');
    const { status, stderr } = compile(text);
    assert.is(status, 0, `${stderr}\n${text}`);
  });
  const lines = ['r0 = eventfd2(0x7, 0x0)', 'write(r0, &(0x7f0000000000)="0500000000000000", 0x8)'];
  const exit = ['read(r0, &(0x7f0000000040)=""/8, 0x8)', 'exit_group(0x9)'];
  assert.is(compile(c_program(program(...lines, ...exit), 'runs')).status, 0);
  assert.is(spawnSync(join(folder, 'repro')).status, 9);
  rmSync(folder, { recursive: true });
});

test.run();
