/** `tvisor-harness gen`: prints random programs. */
import { EXIT_CLEAN } from '../errors.ts';
import { make_choice_table } from '../prog/choice_table.ts';
import { generate_program } from '../prog/generate.ts';
import { MAX_CALLS } from '../prog/model.ts';
import { print_program } from '../prog/print.ts';
import { Random } from '../prog/random.ts';
import type { Command, CommandLine } from './command.ts';
import { ENABLE_FLAGS, select_target } from './enable.ts';

export const gen_command: Command = {
  name: 'gen',
  usage: '',
  summary: 'Print random programs',
  flags: [
    { name: 'count', short: 'n', value: 'N', help: 'how many programs (default 1)' },
    { name: 'calls', value: 'N', help: 'about how many calls each has (default 10)' },
    { name: 'seed', value: 'N', help: 'the same seed gives the same programs (default 1)' },
    ...ENABLE_FLAGS,
  ],
  examples: ['gen', "gen -n 5 --calls 3 --seed 7 --enable 'open*,read,write'"],
  instrumented: false,
  run: run_gen,
};

async function run_gen(line: CommandLine): Promise<number> {
  const target = select_target(line.list('enable'), line.list('disable'));
  const count = line.integer('count', 1, 1);
  const length = line.integer('calls', 10, 1, MAX_CALLS);
  const random = new Random(line.integer('seed', 1));
  const table = make_choice_table(target);
  const texts = Array.from({ length: count }, () => print_program(generate_program(target, table, random, length)));
  process.stdout.write(texts.join('\n'));
  return EXIT_CLEAN;
}
