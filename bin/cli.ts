/**
 * The command line: `tvisor do`, `tvisor debug`, `tvisor symbolize`, `tvisor help`, `tvisor --version`. Parsing is
 * sade's, except that flags of `do` and `debug` end where the guest's command begins (runtime/flag.ts).
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import sade from 'sade';
import { KCOV } from '../engine/base/instrumented.ts';
import { tune_for_short_programs } from '../engine/host/tuning.ts';
import { type DebugFlags, debug_command } from '../engine/runtime/cmd/debug.ts';
import { type DoFlags, do_command } from '../engine/runtime/cmd/do.ts';
import { debug_help_text, do_help_text, help_text, syscalls_text, version_text } from '../engine/runtime/cmd/help.ts';
import { symbolize_command, symbolize_help_text } from '../engine/runtime/cmd/symbolize.ts';
import { TvisorError } from '../engine/runtime/errors.ts';
import { DEBUG_FLAGS, DO_FLAGS, split_line } from '../engine/runtime/flag.ts';
import { package_version } from './version.ts';

function print_help(topic: string | undefined): number {
  if (topic === undefined) process.stdout.write(help_text());
  else if (topic === 'syscalls') process.stdout.write(syscalls_text());
  else if (topic === 'do') process.stdout.write(do_help_text());
  else if (topic === 'debug') process.stdout.write(debug_help_text());
  else if (topic === 'symbolize') process.stdout.write(symbolize_help_text());
  else
    throw new TvisorError(
      `there is no help on '${topic}'`,
      "try 'tvisor help', and then do, debug, symbolize or syscalls",
    );
  return 0;
}

/** What the command line asks for: a function that does it and answers the exit status. */
function parse(argv: readonly string[]): () => number | Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h') return () => print_help(undefined);
  if (name === '--version' || name === '-v')
    return () => {
      process.stdout.write(version_text(package_version()));
      return 0;
    };
  if (name === 'symbolize')
    return rest.includes('--help') || rest.includes('-h')
      ? () => print_help('symbolize')
      : () => symbolize_command(rest);
  const program = sade('tvisor');
  program.command('do').action((flags: DoFlags & { _: string[] }) => () => do_command(flags._, flags));
  program.command('debug').action((flags: DebugFlags & { _: string[] }) => () => debug_command(flags._, flags));
  program.command('help [topic]').action((topic: string | undefined) => () => print_help(topic));
  if (name !== 'do' && name !== 'debug' && name !== 'help')
    throw new TvisorError(`there is no command '${name}'`, "try 'tvisor do -- CMD' or 'tvisor help'");
  if (name === 'help') return () => print_help(rest[0]);
  const { flags, command } = split_line(rest, name === 'do' ? DO_FLAGS : DEBUG_FLAGS, name);
  if (flags.includes('--help')) return () => print_help(name);
  const parsed = program.parse(['node', 'tvisor', name, ...flags, '--', ...command], { lazy: true });
  if (parsed === undefined) throw new TvisorError('the command line cannot be parsed', `see 'tvisor ${name} --help'`);
  return (parsed.handler as (...args: unknown[]) => () => Promise<number>)(...parsed.args);
}

async function main(argv: readonly string[]): Promise<number> {
  const debug = argv.includes('--debug');
  try {
    return await parse(argv)();
  } catch (error) {
    if (error instanceof TvisorError) process.stderr.write(`${error.line()}\n`);
    else
      process.stderr.write(
        `tvisor: internal error: ${error instanceof Error ? error.message : error}; report it with --debug's output\n`,
      );
    if (debug && error instanceof TvisorError && error.report !== '') process.stderr.write(`${error.report}\n`);
    else if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return error instanceof TvisorError ? error.status : 125;
  }
}

/** Where the instrumented command line lies: below the plain bundle, or seen from dist/bin. */
const INSTRUMENTED = ['./kcov/cli.cjs', '../bundle/kcov/cli.cjs'];

/** Whether a command line asks for the instrumented engine. Errors in it are told later. */
function wants_kcov(argv: readonly string[]): boolean {
  try {
    return argv[0] === 'do' && split_line(argv.slice(1)).flags.includes('--kcov');
  } catch {
    return false;
  }
}

/** Runs the command line of this process and ends it. */
export function run(): void {
  if (!KCOV && wants_kcov(process.argv.slice(2))) {
    const place = INSTRUMENTED.map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
    if (place !== undefined) {
      (createRequire(import.meta.url)(fileURLToPath(place)) as { run(): void }).run();
      return;
    }
    process.stderr.write("tvisor: this build has no instrumented engine; build tvisor anew with 'npm run build'\n");
    process.exit(125);
  }
  tune_for_short_programs();
  void main(process.argv.slice(2)).then((status) => process.exit(status));
}
