/** The command line of `tvisor-harness`: sade takes it apart, `registry.ts` knows the commands. */
import sade from 'sade';
import { EXIT_CLEAN, EXIT_ERROR, HarnessError, message_of, usage_error } from '../errors.ts';
import { type Command, CommandLine } from './command.ts';
import { near } from './near.ts';
import { COMMANDS } from './registry.ts';

const NAME = 'tvisor-harness';

/** sade hands what it does not know on to its parser (mri). */
type ParseOptions = NonNullable<Parameters<sade.Sade['parse']>[1]> & { readonly lazy: true };

/** Runs a command line (without node and script) and answers the exit status. Errors are one line on stderr. */
export async function run_command_line(argv: readonly string[], version: string): Promise<number> {
  try {
    return await dispatch(argv, version);
  } catch (error) {
    if (error instanceof HarnessError) {
      process.stderr.write(`${error.line()}\n`);
      return error.status;
    }
    process.stderr.write(`${NAME}: internal error: ${message_of(error)}\n`);
    if (error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return EXIT_ERROR;
  }
}

async function dispatch(argv: readonly string[], version: string): Promise<number> {
  const [name, ...rest] = argv;
  const program = make_sade(version, 'help');
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const topic = name === 'help' ? rest[0] : undefined;
    program.help(topic === undefined ? undefined : find_command(topic).name);
    return EXIT_CLEAN;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${NAME} ${version}\n`);
    return EXIT_CLEAN;
  }
  const command = find_command(name);
  if (rest.some((word) => word === '--help' || word === '-h')) {
    program.help(command.name);
    return EXIT_CLEAN;
  }
  return command.run(parse_words(make_sade(version, 'parse'), command, rest));
}

function find_command(name: string): Command {
  const found = COMMANDS.find((command) => command.name === name);
  if (found !== undefined) return found;
  const names = COMMANDS.map((command) => command.name);
  const like = near(name, names);
  const remedy = like.length > 0 ? `did you mean ${like.join(' or ')}?` : `there are ${names.join(', ')}`;
  throw usage_error(`there is no command '${name}'`, remedy);
}

function make_sade(version: string, purpose: 'help' | 'parse'): sade.Sade {
  const program = sade(NAME).version(version);
  for (const command of COMMANDS) {
    // A required argument is checked by the command: sade would end the process.
    program.command(purpose === 'help' ? `${command.name} ${command.usage}`.trim() : command.name, command.summary);
    for (const { name, short, value, help } of command.flags)
      program.option(`${short === undefined ? '' : `-${short}, `}--${name}`, value === '' ? help : `${value}: ${help}`);
    for (const example of command.examples) program.example(example);
    // Answers what sade found; the caller runs the command.
    program.action(() => undefined);
  }
  return program;
}

/** The words behind a command's name, as flags and arguments. */
function parse_words(program: sade.Sade, command: Command, words: readonly string[]): CommandLine {
  const { flags } = command;
  const remedy = `see '${NAME} ${command.name} --help'`;
  const parsed = program.parse(['node', NAME, command.name, ...split_short(flags, words)], {
    lazy: true,
    string: flags.filter(({ value }) => value !== '').map(({ name }) => name),
    boolean: flags.filter(({ value }) => value === '').map(({ name }) => name),
    unknown: (flag: string) => {
      throw usage_error(`unknown flag ${flag}`, remedy);
    },
  } as ParseOptions);
  if (parsed === undefined) throw usage_error('the command line cannot be parsed', remedy);
  const positional = parsed.args.slice(0, -1).filter((word) => word !== undefined);
  const options = parsed.args.at(-1) as unknown as Record<string, unknown> & { _: string[] };
  const values = new Map<string, readonly string[]>();
  for (const { name, value } of flags) {
    const given = options[name];
    if (given === undefined || given === false) continue;
    const texts = (Array.isArray(given) ? given : [given]).map(String);
    if (value !== '' && texts.includes('')) throw usage_error(`--${name} needs a value`, `write --${name}=${value}`);
    values.set(name, texts);
  }
  return new CommandLine(command.name, [...positional, ...options._].map(String), values);
}

/** `-j4` becomes `-j 4`: otherwise the parser would take it for two switches. */
function split_short(flags: readonly { short?: string; value: string }[], words: readonly string[]): string[] {
  return words.flatMap((word) => {
    const takes_value = flags.some(({ short, value }) => short === word[1] && value !== '');
    return /^-[a-z][^=-]/.test(word) && takes_value ? [word.slice(0, 2), word.slice(2)] : [word];
  });
}
