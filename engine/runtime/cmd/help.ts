/** `tvisor help`, `tvisor help syscalls`, `tvisor do --help`, `tvisor debug --help`, `tvisor --version`. */
import { SYSCALLS } from '../../syscalls/table.ts';
import { DEBUG_FLAGS, DO_FLAGS, type Flag } from '../flag.ts';

/** The version of the OCI runtime specification that `--version` names. */
export const SPEC_VERSION = '1.2.0';

/** What `tvisor --version` prints. */
export function version_text(version: string): string {
  return `tvisor version ${version}\nspec: ${SPEC_VERSION}\n`;
}

/** What `tvisor help` prints. */
export function help_text(): string {
  return `tvisor runs unmodified Linux programs inside a Node process.

Usage:
  tvisor do [flags] [--] CMD [ARGS]   run a command of the host's in a sandbox
  tvisor debug [flags] [--] CMD [ARGS]  run it, and print its hot code: guest, IR and WebAssembly
  tvisor symbolize [--all]            where kcov's program counters are in tvisor's source
  tvisor help                         this text
  tvisor help syscalls                the system calls and how far they are supported
  tvisor --version                    the version, and that of the runtime specification

Example:
  tvisor do -- sh -c 'seq 1 1000 | sort -rn | head -3'

See 'tvisor do --help', 'tvisor debug --help' and 'tvisor symbolize --help' for their flags.
`;
}

/** A line for each flag. */
function flags_text(flags: readonly Flag[]): string {
  const shown = flags.map(({ name, value, help }): [string, string] => [
    `--${name}${value === '' ? '' : value.startsWith('[') ? `[=${value.slice(1, -1)}]` : ` ${value}`}`,
    help,
  ]);
  const width = Math.max(...shown.map(([left]) => left.length));
  return shown.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`).join('\n');
}

/** What `tvisor do --help` prints. */
export function do_help_text(): string {
  return `Runs a command in a sandbox. Its root is the host's /, read-only under a layer of memory: it may write
anywhere, and what it writes vanishes. Directory, environment and standard streams are the caller's.

Usage:
  tvisor do [flags] [--] CMD [ARGS]

Flags:
${flags_text(DO_FLAGS)}

Exit status: the command's; 128 + N when signal N killed it; 126 when it cannot be executed; 127 when it is not
found; 125 when tvisor itself failed.
`;
}

/** What `tvisor debug --help` prints. */
export function debug_help_text(): string {
  return `Runs a command as 'tvisor do' does, and prints at its end which of its code was hot: the regions that were
translated, by the guest instructions that they ran, with their disassembly, and counters of the two tiers, of the
software TLB and of the code caches. Counting slows translated code down by about a tenth.

Usage:
  tvisor debug [flags] [--] CMD [ARGS]

Flags:
${flags_text(DEBUG_FLAGS)}

Examples:
  tvisor debug --regions 3 -- perl -e 'for (1..1e7) { $x += $_ }'
  tvisor debug --ir --wasm --address 0x401136 --output loop.txt -- ./loop
  tvisor debug --json --output counters.json -- gzip -c file

Exit status: the command's; 128 + N when signal N killed it; 126 when it cannot be executed; 127 when it is not
found; 125 when tvisor itself failed, or cannot write FILE.
`;
}

/** What `tvisor help syscalls` prints: a line for each call, and the totals. */
export function syscalls_text(): string {
  const rows = SYSCALLS.filter((row) => row !== undefined);
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ number, name, support, note }) =>
    `${String(number).padStart(3)}  ${name.padEnd(width)}  ${support.padEnd(11)}  ${note ?? ''}`.trimEnd(),
  );
  const total = (kind: string): number => rows.filter(({ support }) => support === kind).length;
  const totals = `${total('full')} full, ${total('partial')} partial, ${total('unsupported')} unsupported (ENOSYS)`;
  return `${lines.join('\n')}\n\n${totals}\n`;
}
