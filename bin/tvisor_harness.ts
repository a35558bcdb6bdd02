/** The command `tvisor-harness`: fuzzing, benchmarks and comparison with Linux (harness/cmd/). */
import { run_command_line } from '../harness/cmd/main.ts';
import { package_version } from './version.ts';

/** Runs the command line of this process and ends it when its output is written. */
export function run(): void {
  void run_command_line(process.argv.slice(2), package_version()).then((status) => {
    process.exitCode = status;
    process.stdout.write('', () => process.exit(status));
  });
}
