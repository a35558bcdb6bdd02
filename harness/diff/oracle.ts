/**
 * The oracle "difference from Linux": the same program on the host's kernel and in the machine, compared call by call.
 *
 * A call that blocks for good ends the comparison: it is the program's last call then, and must block on both sides.
 */
import type { ExecOutcome, Executor } from '../exec/executor.ts';
import { create_executor } from '../exec/machine_executor.ts';
import { prepare_calls } from '../exec/prepare.ts';
import { exec_encode } from '../prog/exec_encode.ts';
import { minimize } from '../prog/minimize.ts';
import type { Program } from '../prog/model.ts';
import { clone_program, remove_call } from '../prog/walk.ts';
import { type Difference, differences, title_of } from './compare.ts';
import { compile } from './compile.ts';
import { known_difference } from './known.ts';
import { NativeRunner } from './native.ts';
import { captured_ranges, type ObservedCall, observe } from './observe.ts';
import { prepare } from './prepare.ts';

/** For programs that end; far beyond what they take. */
const LIMIT_MS = 5000;
/** For programs whose last call is expected to block. */
const BLOCK_MS = 250;
/** Native runs that must say the same before a difference counts. */
const CONFIRMATIONS = 2;
const MINIMIZE_TRIES = 120;
/** Whoever stops the command does not wait longer than this. */
const MINIMIZE_MS = 3000;

export interface Verdict {
  /** equal; known: but for known differences; different; unstable: Linux itself does not do the same each time; empty: no call may run; failed: the
   * machine panicked or did not end, which other oracles tell. */
  readonly kind: 'equal' | 'known' | 'different' | 'unstable' | 'empty' | 'failed';
  /** The program as it ran. */
  readonly program: Program;
  /** Calls that were taken out. */
  readonly removed: number;
  /** Calls that were compared. */
  readonly compared: number;
  /** The first that is not known. */
  readonly difference: Difference | undefined;
  readonly known: readonly Difference[];
  readonly native: readonly ObservedCall[];
  readonly ours: readonly ObservedCall[];
}

interface Runs {
  readonly program: Program;
  readonly native: readonly ObservedCall[];
  readonly ours: readonly ObservedCall[];
  readonly compared: number;
}

export class DiffOracle {
  readonly runner: NativeRunner;
  private readonly executor: Executor;

  /** Throws a HarnessError on a host that cannot run the programs. `executor`: for tests, one with a defect. */
  constructor(executor?: Executor) {
    this.runner = new NativeRunner();
    this.executor = executor ?? create_executor({ sandbox: 'setuid', user: this.runner.user });
  }

  /** Compares the program, or what of it may run on the host. */
  judge(given: Program): Verdict {
    const { program, removed } = prepare(given);
    const nothing = { removed, compared: 0, difference: undefined, known: [], native: [], ours: [] };
    if (program.calls.length === 0) return { kind: 'empty', program, ...nothing };
    const runs = this.run(program);
    if (runs === undefined) return { kind: 'failed', program, ...nothing };
    const { difference, known } = differences_of(runs);
    if (difference === undefined)
      return { kind: known.length > 0 ? 'known' : 'equal', removed, difference, known, ...runs };
    for (let i = 0; i < CONFIRMATIONS; i++) {
      const again = this.run(program);
      const found = again === undefined ? undefined : differences_of(again).difference;
      if (JSON.stringify(found) !== JSON.stringify(difference))
        return { kind: 'unstable', removed, difference, known, ...runs };
    }
    return { kind: 'different', removed, difference, known, ...runs };
  }

  /** A smaller program with the same difference. */
  minimize(program: Program, difference: Difference): Program {
    const title = title_of(difference);
    const end = performance.now() + MINIMIZE_MS;
    const shows = (tried: Program): boolean => {
      if (performance.now() > end) return false;
      const runs = this.run(prepare(tried).program);
      const found = runs === undefined ? undefined : differences_of(runs).difference;
      return found !== undefined && title_of(found) === title;
    };
    return minimize(program, difference.call, shows, { max_tries: MINIMIZE_TRIES }).program;
  }

  /** Both runs. Undefined when the machine failed. */
  private run(given: Program): Runs | undefined {
    let program = given;
    if (program.calls.length === 0) return undefined;
    let ours = this.run_ours(program);
    const last = ours.calls.findIndex(({ finished }) => !finished);
    if (last >= 0 && last < program.calls.length - 1) {
      program = first_calls(program, last + 1);
      ours = this.run_ours(program);
    }
    if (ours.status !== 'done') return undefined;
    const capture = captured_ranges(program);
    const image = compile(prepare_calls(encode(program)), { capture, own_user: this.runner.own_user });
    const expected = ours.calls.every(({ finished }) => finished) ? LIMIT_MS : BLOCK_MS;
    let native = this.runner.run(image, expected);
    // On a busy host the time may be up before the program came to the call that blocks.
    if (native.status === 'blocked' && expected === BLOCK_MS && !native.calls.at(-1)!.started)
      native = this.runner.run(image, LIMIT_MS);
    const compared = Math.min(native.valid, program.calls.length);
    return {
      program,
      native: observe(program, native.pid, native.calls.map(with_number)),
      ours: observe(program, ours.pid ?? 0, ours.calls.map(with_memory)),
      compared,
    };
  }

  private run_ours(program: Program): ExecOutcome {
    const capture = captured_ranges(program);
    return this.executor.run(encode(program), {
      collect: 'none',
      seed: 0,
      check_leaks: false,
      verify_reset: false,
      ends_at_block: true,
      capture,
    });
  }

  close(): void {
    this.executor.close();
    this.runner.close();
  }
}

function encode(program: Program): Uint32Array {
  return exec_encode(program, { fill_outputs: true });
}

function differences_of({ program, native, ours, compared }: Runs): Pick<Verdict, 'difference' | 'known'> {
  const names = program.calls.map(({ description }) => description.name);
  const known: Difference[] = [];
  for (const difference of differences(names, native, ours, compared)) {
    if (known_difference(difference, program) === undefined) return { difference, known };
    known.push(difference);
  }
  return { difference: undefined, known };
}

function first_calls(program: Program, count: number): Program {
  const copy = clone_program(program);
  while (copy.calls.length > count) remove_call(copy, copy.calls.length - 1);
  return copy;
}

function with_number<T extends { readonly result: bigint }>(call: T): Omit<T, 'result'> & { readonly result: number } {
  return { ...call, result: Number(call.result) };
}

function with_memory({ finished, result, memory }: ExecOutcome['calls'][number]) {
  return { finished, result, memory: memory ?? [] };
}
