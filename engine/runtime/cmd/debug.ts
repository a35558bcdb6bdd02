/** `tvisor debug`: one command in a machine of its own, and what its translated code was and did. */
import { TvisorError } from '../errors.ts';
import { parse_address, parse_count, parse_time } from '../flag.ts';
import { Machine } from '../machine.ts';
import { tier_report, tier_text } from '../region_text.ts';
import { statistics_text } from '../report.ts';
import { exit_status, options_of, type RunFlags, run_for_caller, write_output } from './do.ts';

/** Flags as the command line's parser delivers them. */
export interface DebugFlags extends RunFlags {
  readonly regions?: string;
  readonly address?: string;
  readonly ir?: boolean;
  readonly wasm?: boolean;
  readonly json?: boolean;
  readonly output?: string;
}

const DEFAULT_REGIONS = 10;

/** Runs the command, prints the report and answers tvisor's exit status. Throws a TvisorError when tvisor fails. */
export async function debug_command(command: readonly string[], flags: DebugFlags): Promise<number> {
  const timeout = flags.timeout === undefined ? 0 : parse_time(String(flags.timeout));
  const limit = flags.regions === undefined ? DEFAULT_REGIONS : parse_count(String(flags.regions), 'regions');
  const address = flags.address === undefined ? null : parse_address(String(flags.address));
  const options = options_of(flags);
  if (command.length === 0)
    throw new TvisorError('no command given', "write 'tvisor debug [flags] [--] CMD [ARGS]', or see its --help");
  const machine = await Machine.create({ ...options, inspect: true });
  try {
    const result = await run_for_caller(machine, command, flags, timeout);
    const request = { limit, address, ir: flags.ir === true, wasm: flags.wasm === true };
    const answers = await machine.regions(request);
    const statistics = await machine.statistics();
    const report = tier_report(statistics, answers, limit, (regions) =>
      machine.name_code(regions.map(({ place }) => place)),
    );
    const text =
      flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : statistics_text(statistics) + tier_text(report);
    if (flags.output === undefined) process.stderr.write(text);
    else write_output(text, String(flags.output), '--output');
    return exit_status(result, flags);
  } finally {
    await machine.close();
  }
}
