/** Programs from the files and directories that a command line names. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Target } from '../desc/target.ts';
import { HarnessError, message_of } from '../errors.ts';
import { EXTENSION, parse_file, print_file, type SeededProgram } from '../fuzz/program_file.ts';
import { write_whole } from '../fuzz/saver.ts';
import { content_hash, load_directory } from '../fuzz/work_dir.ts';
import { print_program } from '../prog/print.ts';

/** The program of a file. Throws a HarnessError that says where it is wrong. */
export function read_program(target: Target, path: string): SeededProgram {
  try {
    return parse_file(target, readFileSync(path, 'utf8'));
  } catch (error) {
    throw new HarnessError(`${path}: ${message_of(error)}`, "name a file that holds a program, as 'gen' prints them");
  }
}

/** The programs of files and directories; a work directory stands for its corpus. Unreadable ones are told on stderr. */
export function read_programs(target: Target, paths: readonly string[]): SeededProgram[] {
  const found: SeededProgram[] = [];
  for (const path of paths) {
    const directory = directory_of(path);
    if (directory === undefined) {
      found.push(read_program(target, path));
      continue;
    }
    const { programs, problems } = load_directory(target, directory);
    for (const problem of problems) process.stderr.write(`warning: ${problem}\n`);
    found.push(...programs);
  }
  return found;
}

/** The directory with programs that the path names; undefined for a file. */
function directory_of(path: string): string | undefined {
  const kind = (name: string) => statSync(name, { throwIfNoEntry: false });
  const own = kind(path);
  if (own === undefined) throw new HarnessError(`${path} does not exist`, 'name a file or a directory with programs');
  if (!own.isDirectory()) return undefined;
  return kind(join(path, 'workdir.json'))?.isFile() === true ? join(path, 'corpus') : path;
}

/** Writes a program into a directory, under the name that its content gives. */
export function write_program(directory: string, { program, seed }: SeededProgram): void {
  const text = print_file(print_program(program), seed);
  write_whole(join(directory, `${content_hash(text)}${EXTENSION}`), text);
}
