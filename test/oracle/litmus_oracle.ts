/**
 * Memory order: the litmus tests of test/guest/litmus in a machine of two vCPUs, or natively. What x86-TSO forbids must
 * never be seen; what it allows only because stores are buffered is counted.
 */
import { Machine } from '../../engine/index.ts';
import type { PlatformName } from '../../engine/platform/create.ts';
import { type Command, compile, type Outcome, run_guest, run_native } from '../support/guest.ts';

/** What runs a litmus test. */
export type LitmusRunner = 'native' | PlatformName;

/** Totals of one test on one runner. */
export interface LitmusResult {
  readonly name: string;
  readonly runner: LitmusRunner;
  /** The outcome that a store buffer alone makes possible; '' where there is none. */
  readonly special: string;
  readonly runs: number;
  readonly seen: number;
  readonly forbidden: number;
}

/** Longest that a program may take beyond the time it was given, s: the host may be busy. */
const PATIENCE = 60;
const WARM_UP_MS = 500;
const ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };

function command_of(args: readonly string[]): Command {
  return { argv: [compile('litmus/litmus', 'static'), ...args], cwd: '/', env: ENVIRONMENT };
}

/** The tests: name and special outcome. */
export async function litmus_tests(): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await run_native(command_of(['--list']));
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ') as [string, string, string]);
  return new Map(rows.map(([name, , special]) => [name, special === '-' ? '' : special]));
}

/** Something on which litmus tests are run one after the other. */
export class LitmusBench {
  readonly runner: LitmusRunner;
  private readonly machine: Machine | null;

  static async create(runner: LitmusRunner): Promise<LitmusBench> {
    const machine =
      runner === 'native' ? null : await Machine.create({ platform: runner, vcpus: 2, memory: 256 << 20 });
    const bench = new LitmusBench(runner, machine);
    // Until the machine has found that it is worth while, both threads run on one vCPU.
    if (machine !== null) await bench.run('MP', '', WARM_UP_MS, 0);
    return bench;
  }

  private constructor(runner: LitmusRunner, machine: Machine | null) {
    this.runner = runner;
    this.machine = machine;
  }

  /** Runs a test for about so long. Throws when it does not come to its end. */
  async run(name: string, special: string, milliseconds: number, seed: number): Promise<LitmusResult> {
    const command = command_of([name, String(Math.ceil(milliseconds)), String(seed)]);
    const seconds = milliseconds / 1000 + PATIENCE;
    let outcome: Outcome;
    if (this.machine === null) outcome = await run_native(command);
    else outcome = await run_guest(this.machine, command, seconds);
    const [, runs, seen, forbidden] = /^\S+ (\d+) (\d+) (\d+)\n$/.exec(outcome.stdout)?.map(Number) ?? [];
    if (runs === undefined || seen === undefined || forbidden === undefined || outcome.status > 1)
      throw new Error(`${name}, ${this.runner}: status ${outcome.status}\n${outcome.stdout}${outcome.stderr}`);
    return { name, runner: this.runner, special, runs, seen, forbidden };
  }

  async close(): Promise<void> {
    await this.machine?.close();
  }
}

/** The line that tells a result. */
export function litmus_line({ name, runner, special, runs, seen, forbidden }: LitmusResult): string {
  const buffered = special === '' ? '' : `, ${seen} times ${special} (allowed)`;
  const verdict = forbidden === 0 ? 'nothing forbidden' : `${forbidden} FORBIDDEN`;
  return `${runner.padEnd(9)} ${name.padEnd(11)} ${String(runs).padStart(10)} runs: ${verdict}${buffered}`;
}
