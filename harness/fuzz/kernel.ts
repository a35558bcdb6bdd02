/** A machine in this thread, for the commands that run programs one by one. */
import type { Target } from '../desc/target.ts';
import { make_target } from '../desc/target.ts';
import type { Executor } from '../exec/executor.ts';
import { create_executor } from '../exec/machine_executor.ts';
import { BlackBox, Runner } from './runner.ts';
import { self_test } from './self_test.ts';
import { Stats } from './stats.ts';

export interface Kernel {
  readonly target: Target;
  readonly executor: Executor;
  readonly runner: Runner;
}

/** Boots it. With `coverage` the self-test must pass: throws a HarnessError where it does not. */
export function open_kernel(coverage: boolean, executor: Executor = create_executor()): Kernel {
  const target = make_target();
  if (coverage) self_test(executor, target);
  const runner = new Runner(executor, target, new Stats(), new BlackBox(), Number.POSITIVE_INFINITY);
  return { target, executor, runner };
}
