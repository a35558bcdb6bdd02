/** The command `tvisor-harness`: fuzzing, benchmarks and comparison with Linux (harness/cmd/). */
import { createRequire } from 'node:module';
import { run_command_line } from '../harness/cmd/main.ts';

/** package.json lies two folders above dist/bin and dist/bundle, and three above dist/bundle/kcov. */
function version(): string {
  const require = createRequire(import.meta.url);
  for (const path of ['../../package.json', '../../../package.json'])
    try {
      return (require(path) as { version: string }).version;
    } catch {}
  return 'unknown';
}

/** Runs the command line of this process and ends it when its output is written. */
export function run(): void {
  void run_command_line(process.argv.slice(2), version()).then((status) => {
    process.exitCode = status;
    process.stdout.write('', () => process.exit(status));
  });
}
