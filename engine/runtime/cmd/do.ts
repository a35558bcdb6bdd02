/** `tvisor do`: one command in a machine of its own, with the caller's streams. */
import { write_whole } from '../../host/output.ts';
import { caller_environment } from '../../host/system.ts';
import { caller_terminals, caller_window, watch_window } from '../../host/terminal.ts';
import type { PlatformName } from '../../platform/create.ts';
import type { MachineOptions, Volume } from '../config.ts';
import { TvisorError } from '../errors.ts';
import { parse_count, parse_size, parse_time, parse_volume } from '../flag.ts';
import { Machine, type RunResult } from '../machine.ts';
import { statistics_text } from '../report.ts';
import { signal_number } from '../signals.ts';

/** Flags that say how a command is run, as the command line's parser delivers them. */
export interface RunFlags {
  readonly root?: string;
  readonly volume?: string | readonly string[];
  readonly cwd?: string;
  readonly vcpus?: string;
  readonly memory?: string;
  readonly timeout?: string;
  readonly platform?: string;
}

export interface DoFlags extends RunFlags {
  readonly strace?: string | boolean;
  readonly debug?: boolean;
  readonly profile?: string;
  readonly kcov?: boolean;
  readonly 'instrumentation-filter'?: string;
}

/** Signals that reach the guest's process when they reach tvisor. */
const FORWARDED: readonly NodeJS.Signals[] = [
  ...(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGCONT', 'SIGUSR2'] as const),
];

/** So many SIGINT or SIGTERM, each within REPEAT_MS of the one before, end tvisor itself, whatever the guest does. */
const REPEATS = 3;
const REPEAT_MS = 3000;

/** Forwards a signal to the guest; one that is repeated ends this process and all its threads. */
function forwarder(machine: Machine, signal: NodeJS.Signals): () => void {
  let repeats = 0;
  let reset: NodeJS.Timeout | undefined;
  return () => {
    clearTimeout(reset);
    reset = setTimeout(() => {
      repeats = 0;
    }, REPEAT_MS).unref();
    if ((signal === 'SIGINT' || signal === 'SIGTERM') && ++repeats >= REPEATS) {
      process.stderr.write(`tvisor: ended by the third ${signal}; the command did not end at the first\n`);
      process.exit(128 + signal_number(signal));
    }
    machine.kill(signal);
  };
}

/** The options that the flags ask for. Throws a TvisorError for a bad value. */
export function options_of(flags: DoFlags): MachineOptions {
  const volumes: Volume[] = [flags.volume ?? []].flat().map((text) => parse_volume(String(text)));
  const strace = flags.strace === undefined || flags.strace === false ? '' : String(flags.strace);
  return {
    volumes,
    debug: flags.debug === true,
    profile: flags.profile !== undefined,
    instrumentation_filter: String(flags['instrumentation-filter'] ?? ''),
    strace: strace === 'true' || strace === '' ? (strace === '' ? '' : '-') : strace,
    // machine_config tells which there are.
    ...(flags.platform === undefined ? {} : { platform: flags.platform as PlatformName }),
    ...(flags.root === undefined ? {} : { root: flags.root }),
    ...(flags.vcpus === undefined ? {} : { vcpus: parse_count(String(flags.vcpus), 'vCPUs') }),
    ...(flags.memory === undefined ? {} : { memory: parse_size(String(flags.memory)) }),
  };
}

/** Runs the command and answers tvisor's exit status. Throws a TvisorError when tvisor fails. */
export async function do_command(command: readonly string[], flags: DoFlags): Promise<number> {
  const timeout = flags.timeout === undefined ? 0 : parse_time(String(flags.timeout));
  const options = options_of(flags);
  if (command.length === 0)
    throw new TvisorError('no command given', "write 'tvisor do [flags] [--] CMD [ARGS]', or see 'tvisor do --help'");
  const machine = await Machine.create(options);
  try {
    const result = await run_for_caller(machine, command, flags, timeout);
    if (flags.profile !== undefined)
      write_output(`${JSON.stringify(await machine.profile())}\n`, String(flags.profile), '--profile');
    if (flags.debug === true) process.stderr.write(statistics_text(await machine.statistics()));
    return exit_status(result, flags);
  } finally {
    await machine.close();
  }
}

/** Writes a host file whole. Throws a TvisorError that names the flag that asked for it. */
export function write_output(text: string, path: string, flag: string): void {
  try {
    write_whole(path, text);
  } catch (error) {
    throw new TvisorError(`cannot write ${path} (${(error as Error).message})`, `choose another file with ${flag}`);
  }
}

/** The exit status that tells how a command ended; a line about a time limit. */
export function exit_status(result: RunResult, flags: RunFlags): number {
  if (result.timedOut) process.stderr.write(`tvisor: the command was killed after ${flags.timeout}; raise --timeout\n`);
  return result.signal === null ? (result.exitCode ?? 0) : 128 + signal_number(result.signal);
}

/** Runs a command with the caller's streams, terminal, signals, environment and directory; `timeout` in ms, 0 is none. */
export async function run_for_caller(
  machine: Machine,
  command: readonly string[],
  flags: RunFlags,
  timeout: number,
): Promise<RunResult> {
  const terminals = caller_terminals();
  const terminal = terminals.includes(true)
    ? { ...caller_window(), input: 'inherit' as const, output: 'inherit' as const }
    : undefined;
  const listeners = FORWARDED.map((signal): [NodeJS.Signals, () => void] => [signal, forwarder(machine, signal)]);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  const unwatch = terminal === undefined ? null : watch_window(({ rows, columns }) => machine.resize(rows, columns));
  try {
    return await machine.run(command, {
      ...(terminal === undefined ? {} : { terminal }),
      ...(terminals[0] ? {} : { stdin: 'inherit' }),
      ...(terminals[1] ? {} : { stdout: 'inherit' }),
      ...(terminals[2] ? {} : { stderr: 'inherit' }),
      env: caller_environment(),
      cwd: flags.cwd ?? process.cwd(),
      ...(timeout === 0 ? {} : { timeout }),
    });
  } finally {
    unwatch?.();
    for (const [signal, listener] of listeners) process.off(signal, listener);
  }
}
