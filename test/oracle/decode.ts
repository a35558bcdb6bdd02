/**
 * Long run of the decoder against iced-x86.
 *
 *     npm run oracle:decode -- [--seed S] [--count N] [--from BYTES] [FILE...]
 *
 * Without files: N random byte strings. With ELF files: their executable sections, instruction by instruction.
 * Ends with status 1 when anything differs; the command that repeats it is printed.
 */
import { readFileSync } from 'node:fs';
import sade from 'sade';
import { ROWS } from '../../engine/x86/table.ts';
import { DecodeGenerator, SLOT } from './decode_generator.ts';
import { DecodeOracle } from './decode_oracle.ts';
import { executable_sections, sweep } from './sweep.ts';

const SLOTS = 4096;
const SHOWN = 40;

interface Options {
  seed: number;
  count: number;
}

/** Compares `count` random strings; prints the first differences. Answers how many there were. */
function run_random(seed: number, count: number): number {
  const oracle = new DecodeOracle();
  const generator = new DecodeGenerator(seed);
  const bytes = new Uint8Array(SLOTS * SLOT);
  const rows = new Set<number>();
  let differences = 0;
  for (let done = 0; done < count; done += SLOTS) {
    generator.fill(bytes);
    oracle.load(bytes);
    for (let n = 0; n < SLOTS && done + n < count; n++) {
      const problem = oracle.compare(n * SLOT);
      rows.add(oracle.row_id);
      if (problem !== null && differences++ < SHOWN) console.log(problem);
    }
  }
  oracle.free();
  rows.delete(0);
  console.log(`${count} strings, ${rows.size} of ${ROWS.length - 1} rows, ${differences} differences`);
  console.log(`repeat: npm run oracle:decode -- --seed ${seed} --count ${count}`);
  return differences;
}

function run_files(files: readonly string[]): number {
  let differences = 0;
  for (const file of files) {
    const result = { instructions: 0, skipped: 0, problems: [] as string[] };
    for (const section of executable_sections(readFileSync(file))) sweep(section, result);
    for (const problem of result.problems.slice(0, SHOWN)) console.log(problem);
    console.log(
      `${file}: ${result.instructions} instructions, ${result.skipped} of absent features or not instructions, ` +
        `${result.problems.length} differences`,
    );
    differences += result.problems.length;
  }
  return differences;
}

sade('oracle:decode [...files]', true)
  .describe('Compares the decoder with iced-x86.')
  .option('--seed', 'First state of the generator', Date.now() % 1e9)
  .option('--count', 'Number of random byte strings', 1_000_000)
  .action((files: string | undefined, options: Options & { _: string[] }) => {
    const list = files === undefined ? [] : [files, ...options._];
    const differences = list.length > 0 ? run_files(list) : run_random(options.seed, options.count);
    process.exitCode = differences === 0 ? 0 : 1;
  })
  .parse(process.argv);
