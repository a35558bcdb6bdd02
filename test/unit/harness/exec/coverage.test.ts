/** Coverage and comparisons of calls, on the instrumented bundle. */
import { createRequire } from 'node:module';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CallOutcome, ExecOptions, Executor } from '../../../../harness/exec/executor.ts';
import { make_choice_table } from '../../../../harness/prog/choice_table.ts';
import { exec_encode } from '../../../../harness/prog/exec_encode.ts';
import { generate_program } from '../../../../harness/prog/generate.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { CHECK_ALL, summary } from '../../../support/executor.ts';
import { each_seed, KERNEL_TARGET, program } from '../../../support/programs.ts';

type Bundle = typeof import('../../../../harness/exec/machine_executor.ts');
const bundle = createRequire(import.meta.url)('../../../../bundle/kcov/executor.cjs') as Bundle;
const executor: Executor = bundle.create_executor();
const OPTIONS: ExecOptions = { ...CHECK_ALL, collect: 'pc' };

function calls(options: Partial<ExecOptions>, ...lines: string[]): readonly CallOutcome[] {
  const outcome = executor.run(exec_encode(program(...lines)), { ...OPTIONS, ...options });
  assert.is(outcome.status, 'done');
  assert.equal(outcome.leaks, []);
  return outcome.calls;
}

/** All that is told of each call. */
function trace(outcomes: readonly CallOutcome[]): string {
  return outcomes.map(({ result, pcs }) => `${result}: ${[...pcs].map((pc) => pc.toString(16)).join(' ')}`).join('\n');
}

test('each call has its own program counters, in the kernel', () => {
  assert.ok(executor.instrumented);
  assert.ok(executor.blocks > 5000);
  const [small, open, blocked, last] = calls(
    {},
    'getppid()',
    "creat(&(0x7f0000000040)='./f\\x00', 0x1ff)",
    'pause()',
    'getppid()',
  );
  assert.ok(small !== undefined && open !== undefined && blocked !== undefined && last !== undefined);
  assert.ok(small.pcs.length > 0 && small.pcs.length < 40);
  assert.ok(open.pcs.length > 100);
  assert.not(blocked.finished);
  assert.ok(blocked.pcs.length > 0);
  assert.ok(small.pcs.every((pc) => pc >= 0x8000_0000));
  assert.equal([...last.pcs], [...small.pcs], 'a thread of its own has the same coverage');
});

test('without being asked for, nothing is collected', () => {
  for (const { pcs, comparisons } of calls({ collect: 'none' }, 'getppid()', 'getpid()'))
    assert.is(pcs.length + comparisons.length, 0);
});

test('comparisons show what arguments are compared with', () => {
  const [outcome] = calls({ collect: 'cmp' }, 'lseek(0x1, 0x1234, 0x77)');
  const whence = outcome?.comparisons.filter(({ low1, high1, constant }) => low1 === 0x77 && high1 === 0 && constant);
  assert.ok(whence !== undefined && whence.length > 0, JSON.stringify(outcome?.comparisons));
  assert.is(outcome?.pcs.length, 0);
});

test("a program's own kcov changes nothing of what is collected, not even as its process ends", () => {
  // Records are good until the next program.
  const alone = calls({}, 'getppid()')[0]?.pcs.join();
  const [first] = calls(
    {},
    'getppid()',
    "r0 = openat$kcov(0xffffffffffffff9c, &(0x7f0000000040)='/sys/kernel/debug/kcov\\x00', 0x2, 0x0)",
    'ioctl$KCOV_INIT_TRACE(r0, 0x80086301, 0x1000)',
    'ioctl$KCOV_ENABLE(r0, 0x6364, 0x0)',
    'pause()',
  );
  assert.ok(first !== undefined && first.pcs.length > 0);
  assert.is(first.pcs.join(), alone);
});

test('a fault shows in the coverage of its call alone', () => {
  const lines = ['epoll_create1(0x0)', 'getppid()'];
  const [whole, next] = calls({}, ...lines);
  const [failed, after] = calls({}, `${lines[0]} (fail_nth: 1)`, 'getppid()');
  assert.ok(failed?.fault_injected);
  assert.is.not(failed?.pcs.join(), whole?.pcs.join());
  assert.is(after?.pcs.join(), next?.pcs.join());
});

test('random programs have the same trace twice, whatever runs in between', () => {
  const table = make_choice_table(KERNEL_TARGET);
  each_seed(150, (random, seed) => {
    const made = generate_program(KERNEL_TARGET, table, random, 10);
    for (const call of made.calls) if (random.one_in(6)) call.properties.async = true;
    const words = exec_encode(made);
    const run = (): string => {
      const outcome = executor.run(words, { ...OPTIONS, seed, verify_reset: seed % 8 === 0 });
      assert.is(outcome.status, 'done', `${summary(outcome)}\n${print_program(made)}`);
      return trace(outcome.calls);
    };
    const first = run();
    calls({}, 'fork()', "creat(&(0x7f0000000040)='./other\\x00', 0x1ff)");
    assert.is(run(), first, print_program(made));
  });
});

test.run();
