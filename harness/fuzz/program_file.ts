/**
 * A program in a file: its text, with what is not in the text in comments that the parser skips.
 *
 *     # seed 1234                    order in which tasks run; left out when it is 0
 *     r0 = eventfd2(0x0, 0x0)
 */
import type { Target } from '../desc/target.ts';
import type { Program } from '../prog/model.ts';
import { parse_program } from '../prog/parse.ts';

export interface SeededProgram {
  readonly program: Program;
  readonly seed: number;
}

export const EXTENSION = '.prog';

/** The file's text; `remarks` become comments at its head. */
export function print_file(text: string, seed: number, remarks: readonly string[] = []): string {
  const head = [...remarks, ...(seed === 0 ? [] : [`seed ${seed}`])];
  return `${head.map((line) => `# ${line}\n`).join('')}${text}`;
}

/** Reads a file's text. Throws an Error that says where it is wrong. */
export function parse_file(target: Target, text: string): SeededProgram {
  const seed = Number(/^# seed (\d+)$/m.exec(text)?.[1] ?? 0);
  const program = parse_program(target, text);
  if (program.calls.length === 0) throw new Error('there is no call in it');
  return { program, seed };
}
