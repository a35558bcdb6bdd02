/** The files that a finding is told in. */
import type { Crash } from '../fuzz/fuzzer.ts';
import { print_file } from '../fuzz/program_file.ts';
import { print_program } from '../prog/print.ts';
import { c_program } from './repro_c.ts';

export interface CrashRecord {
  readonly crash: Crash;
  /** Seconds since the campaign began, and programs run until then. */
  readonly elapsed_s: number;
  readonly execs: number;
}

/** The command that shows the finding again. */
export function repro_line(path: string): string {
  const file = `${path}/repro.prog`;
  return `npx tvisor-harness repro ${/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`}`;
}

/** Contents of the files of a finding's directory, which is at `path`. */
export function crash_files({ crash, elapsed_s, execs }: CrashRecord, path: string): Record<string, string> {
  const { finding, program, original, seed, recurs, before } = crash;
  const again = repro_line(path);
  const frequency = recurs ? 'It recurs each time.' : 'It did not recur: log0 has the programs that ran before it.';
  const log = [
    ...before.map((suspect) => print_file(print_program(suspect.program), suspect.seed, ['ran before'])),
    print_file(print_program(original), seed, ['as it was found']),
  ];
  return {
    description: `${finding.title}\n`,
    report0: `${finding.title}\n\n${finding.details}\n\n${frequency}\n\n${print_program(program)}\n${again}\n`,
    log0: log.join('\n'),
    'repro.prog': print_file(print_program(program), seed, [finding.title, again]),
    'repro.c': c_program(program, finding.title),
    schedule: `${JSON.stringify({ seed, vcpus: 1, clock: 'virtual' })}\n`,
    'meta.json': `${JSON.stringify({ title: finding.title, kind: finding.kind, call: finding.call, seed, recurs, elapsed_s, execs }, undefined, 2)}\n`,
  };
}
