/** Programs for the tests of harness/prog: a target, seeded generation, and validation with the text in the message. */

import { is_implemented } from '../../harness/desc/call.ts';
import { make_target, type Target } from '../../harness/desc/target.ts';
import { type ChoiceTable, make_choice_table } from '../../harness/prog/choice_table.ts';
import { generate_program } from '../../harness/prog/generate.ts';
import type { Program } from '../../harness/prog/model.ts';
import { parse_program } from '../../harness/prog/parse.ts';
import { print_program } from '../../harness/prog/print.ts';
import { Random } from '../../harness/prog/random.ts';
import { validate_program } from '../../harness/prog/validate.ts';

/** Every described call, whether the kernel implements it yet or not. */
export const TARGET: Target = make_target({ enable: () => true });
/** The calls that the kernel implements. */
export const KERNEL_TARGET: Target = make_target({ enable: is_implemented });
export const TABLE: ChoiceTable = make_choice_table(TARGET);

/** Runs `body` with `count` seeds (or TVISOR_SEED alone); a failure names its seed and the command that repeats it. */
export function each_seed(count: number, body: (random: Random, seed: number) => void): void {
  const given = process.env.TVISOR_SEED;
  const first = Number(given ?? (process.env.CI === undefined ? Date.now() % 0x7fff_ffff : 1));
  for (let seed = first; seed < first + (given === undefined ? count : 1); seed++) {
    try {
      body(new Random(seed), seed);
    } catch (error) {
      console.log(`seed ${seed} (repeat: TVISOR_SEED=${seed} node ${process.argv[1]})`);
      throw error;
    }
  }
}

/** A program of `length` calls. */
export function random_program(random: Random, length = 10): Program {
  return generate_program(TARGET, TABLE, random, length);
}

/** The program of some lines of text. */
export function program(...lines: string[]): Program {
  return parse_program(TARGET, lines.join('\n'));
}

/** Validates, and shows the program when it is not valid. */
export function expect_valid(checked: Program): void {
  try {
    validate_program(TARGET, checked);
  } catch (error) {
    throw new Error(`${(error as Error).message} in\n${print_program(checked)}`, { cause: error });
  }
}
