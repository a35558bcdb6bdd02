/**
 * Proves that a machine tells what a campaign needs to know, before the campaign begins: a campaign without feedback
 * looks like one that finds nothing.
 */
import type { Target } from '../desc/target.ts';
import { HarnessError } from '../errors.ts';
import type { ExecOutcome, Executor } from '../exec/executor.ts';
import { compare_runs, fingerprint_of } from '../oracle/determinism.ts';
import { exec_encode } from '../prog/exec_encode.ts';
import { parse_program } from '../prog/parse.ts';

/** A number that the kernel meets only where the program passes it. */
const UNUSUAL = 0x1234567;
const CREATE = "openat(0xffffffffffffff9c, &(0x7f0000000040)='./self-test\\x00', 0xc2, 0x1ff)\n";
const COMPARE = `r0 = eventfd2(0x${UNUSUAL.toString(16)}, 0x0)\nlseek(r0, 0x0, 0x${UNUSUAL.toString(16)})\nclose(0x${UNUSUAL.toString(16)})\n`;
const FAIL = 'eventfd2(0x0, 0x0) (fail_nth: 1)\n';
/** An open(2) passes more blocks than this in any kernel. */
const FEW_BLOCKS = 5;

const INSTRUMENTED_REMEDY = "build the instrumented kernel ('npm run build') and start it with npx tvisor-harness";
const REPORT_REMEDY = 'this is a defect of tvisor: report it with the output of tvisor-harness --version';

/** Throws a HarnessError that says what does not work. Leaves the machine as it was. */
export function self_test(executor: Executor, target: Target): void {
  if (!executor.instrumented || executor.blocks === 0)
    throw new HarnessError('this kernel reports no coverage, and fuzzing it would be blind', INSTRUMENTED_REMEDY);
  const run = (text: string, collect: 'pc' | 'cmp'): ExecOutcome => {
    const program = exec_encode(parse_program(target, text));
    return executor.run(program, { collect, seed: 0, check_leaks: true, verify_reset: true });
  };
  test_coverage(target, run(CREATE, 'pc'), () => run(CREATE, 'pc'));
  const compared = run(COMPARE, 'cmp').calls.flatMap(({ comparisons }) => comparisons);
  if (!compared.some(({ low1, low2 }) => low1 >>> 0 === UNUSUAL || low2 >>> 0 === UNUSUAL))
    fail(`comparisons do not arrive (${compared.length} came, none with the number that a program passed)`);
  if (!run(FAIL, 'pc').calls[0]!.fault_injected) fail('fault injection does not work: nothing failed');
}

/** The file is new in both runs if the reset between them worked. */
function test_coverage(target: Target, first: ExecOutcome, again: () => ExecOutcome): void {
  const before = fingerprint_of(first);
  const [call] = first.calls;
  if (first.status !== 'done' || !call!.finished || call!.result < 0)
    fail(`a program that creates a file ended as ${first.status} with ${call!.result} ${first.corruption}`);
  if (new Set(call!.pcs).size < FEW_BLOCKS) fail(`only ${call!.pcs.length} blocks of open(2) were covered`);
  if (first.leaks.length > 0)
    fail(`an open file counts as a leak: ${first.leaks.map(({ record }) => record).join(', ')}`);
  const second = again();
  if (second.calls[0]!.result < 0) fail(`the reset kept a file of the program before (${second.calls[0]!.result})`);
  const difference = compare_runs(parse_program(target, CREATE), before, fingerprint_of(second));
  if (difference !== undefined) fail(`the machine is not deterministic: ${difference.details}`);
}

function fail(problem: string): never {
  throw new HarnessError(`the self-test failed: ${problem}`, REPORT_REMEDY);
}
