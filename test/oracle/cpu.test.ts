/**
 * A slice of the CPU oracle: random snippets on the host CPU and in the interpreter.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Executor, filter_rows, native_executor, run_oracle } from './cpu_oracle.ts';
import { TESTED_ROWS } from './generate.ts';
import { interpreter_executor, jit_executor } from './interpreter.ts';
import { unavailable } from './native.ts';

const SEED = Number(process.env.TVISOR_SEED ?? 1);
const reason = unavailable();
const host_test = reason === '' ? test : test.skip;
if (reason !== '') console.log(`CPU oracle skipped: ${reason}`);

function slice(filter: string | undefined, count: number, executor: Executor = interpreter_executor): void {
  const rows = filter_rows(filter);
  const filtered = filter === undefined ? '' : ` --filter ${filter}`;
  const flags = filtered + (executor === jit_executor ? ' --jit' : '');
  const report = run_oracle({ seed: SEED, count, rows, executor, limit: 3, flags });
  assert.is(report.failures.map((failure) => failure.text).join('\n\n'), '');
}

host_test('the native runner repeats itself', () => {
  const report = run_oracle({ seed: SEED, count: 500, rows: TESTED_ROWS, executor: native_executor, limit: 3 });
  assert.is(report.failures.map((failure) => failure.text).join('\n\n'), '');
});

host_test('random instructions of every row behave as on the host', () => slice(undefined, 3000));
host_test('translated, they do so too', () => slice(undefined, 900, jit_executor));
host_test('MMX instructions behave as on the host', () => slice('mmx', 1000));
host_test('SSE to SSE4.2 instructions behave as on the host', () => slice('sse,sse2,sse3,ssse3,sse4.1,sse4.2', 1500));
host_test('x87 instructions behave as on the host', () => slice('x87', 1000));

test.run();
