/**
 * Long run of the decoder against iced-x86.
 *
 *     npm run oracle:decode -- [--seed S] [--count N] [--host] [FILE...]
 *
 * Without files: N random byte strings. With ELF files: their executable sections, instruction by instruction.
 * With --host the strings also run on the host CPU, which must refuse the same ones and find the same lengths, and
 * encodings of each row, which must read and write the operands and flags that the table says.
 * Ends with status 1 when anything differs; the command that repeats it is printed.
 */
import { readFileSync } from 'node:fs';
import sade from 'sade';
import { ROWS } from '../../engine/x86/table.ts';
import { DecodeGenerator, SLOT } from './decode_generator.ts';
import { check_on_host } from './decode_host.ts';
import { DecodeOracle } from './decode_oracle.ts';
import { unavailable } from './native.ts';
import { executable_sections, sweep } from './sweep.ts';
import { check_table, checkable_rows } from './table_oracle.ts';

const SLOTS = 4096;
const SHOWN = 40;
const HOST_BATCH = 40_000;
/** Strings for each encoding of each row that --host runs. */
const TABLE_SHARE = 20_000;
const SIGNS_AFTER = 100;

interface Options {
  seed: number;
  count: number;
  host: boolean;
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

/** Compares with the host CPU, in batches; prints the first differences. Answers how many there were. */
function run_host(seed: number, count: number): number {
  const reason = unavailable();
  if (reason !== '') throw new Error(`--host: ${reason}`);
  let ran = 0;
  let differences = 0;
  for (let done = 0; done < count; done += HOST_BATCH) {
    const found = check_on_host(seed + done, Math.min(HOST_BATCH, count - done));
    for (const problem of found.problems) if (differences++ < SHOWN) console.log(problem);
    ran += found.ran;
  }
  console.log(`${ran} strings on the host CPU, ${differences} differences`);
  return differences + run_table(seed, Math.ceil(count / TABLE_SHARE));
}

/** Checks operand access and flags of the table, `count` encodings a row. Answers how many contradict it. */
function run_table(seed: number, count: number): number {
  const rows = checkable_rows();
  const { ran, problems, flags_unread, destination_unread } = check_table(rows, seed, count);
  for (const problem of problems.slice(0, SHOWN)) console.log(problem);
  for (const row of rows) if (!ran.has(row)) console.log(`never ran to its end: ${row.mnemonic} ${row.encoding}`);
  // Fewer encodings than that do not bring the rare cases.
  const enough = count >= SIGNS_AFTER;
  for (const row of enough ? flags_unread : [])
    console.log(`no sign that it reads flags: ${row.mnemonic} ${row.encoding}`);
  for (const row of enough ? destination_unread : []) {
    console.log(`no sign that it reads its destination: ${row.mnemonic} ${row.encoding}`);
  }
  console.log(`${ran.size} of ${rows.length} rows on the host CPU, ${count} times: ${problems.length} contradictions`);
  return problems.length;
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
  .option('--host', 'Run the strings on the host CPU, too', false)
  .action((files: string | undefined, options: Options & { _: string[] }) => {
    const list = files === undefined ? [] : [files, ...options._];
    let differences = list.length > 0 ? run_files(list) : run_random(options.seed, options.count);
    if (options.host) differences += run_host(options.seed, options.count);
    process.exitCode = differences === 0 ? 0 : 1;
  })
  .parse(process.argv);
