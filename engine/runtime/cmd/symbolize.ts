/** `tvisor symbolize`: from the program counters that kcov reports to places in tvisor's source. */
import { all_blocks, symbolize } from '../../kcov/symbolize.ts';
import { require_coverage_map } from '../coverage.ts';
import { TvisorError } from '../errors.ts';

/** Exit status for input that cannot be symbolized. */
const BAD_INPUT = 1;

/** What `tvisor symbolize --help` prints. */
export function symbolize_help_text(): string {
  return `Reads program counters of the instrumented kernel from standard input, one hexadecimal number a line, with or
without 0x, and prints two lines for each: the number, and where it is in tvisor's source as
FILE:LINE.COLUMN,LINE.COLUMN (from 1; the end is exclusive).

Usage:
  tvisor symbolize [--all]

Flags:
  --all   Print every basic block instead of reading any

Examples:
  tvisor do --kcov -- ./kcov-example | tvisor symbolize
  echo ffffffff8c3ff013 | tvisor symbolize
  tvisor symbolize --all | grep -c '^0x'

Exit status: 0; 1 for a line that is no number or a number that is no block, after what comes before it was printed;
125 when tvisor itself failed.
`;
}

async function standard_input(): Promise<string> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const piece of process.stdin) text += piece;
  return text;
}

/** Writes to standard output. A reader that has seen enough (head) is no error. */
function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') resolve();
      else reject(new TvisorError(`cannot write to standard output (${error.message})`, 'check where it goes'));
    });
    process.stdout.write(text, () => resolve());
  });
}

/** Runs the command with the words behind its name and answers the exit status. Throws a TvisorError. */
export async function symbolize_command(args: readonly string[]): Promise<number> {
  const wrong = args.find((arg) => arg !== '--all' && arg !== '-all');
  if (wrong !== undefined)
    throw new TvisorError(`symbolize does not know '${wrong}'`, "see 'tvisor symbolize --help'; numbers come on stdin");
  const map = require_coverage_map();
  if (args.length > 0) {
    await print(all_blocks(map));
    return 0;
  }
  const { output, error } = symbolize(map, await standard_input());
  await print(output);
  if (error === '') return 0;
  throw new TvisorError(
    `symbolize: ${error}`,
    'give program counters that kcov of this build reported, one hexadecimal number a line',
    BAD_INPUT,
  );
}
