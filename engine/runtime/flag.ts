/**
 * Flags of `tvisor do` and `tvisor debug`: their tables, the split of a command line into flags and the guest's command, and
 * the conversion of their values.
 */
import type { Volume } from './config.ts';
import { TvisorError } from './errors.ts';

export interface Flag {
  readonly name: string;
  /** What its value is called in the help; '' for a switch; in brackets where it may be left out. */
  readonly value: string;
  readonly help: string;
}

export const DO_FLAGS: readonly Flag[] = [
  { name: 'root', value: 'DIR', help: "Host directory that becomes the guest's / (read-only; writes go to memory)" },
  { name: 'volume', value: 'HOST:GUEST[:ro]', help: 'Make a host directory writable in the guest; may be repeated' },
  { name: 'cwd', value: 'DIR', help: "The guest's current directory; default the caller's" },
  { name: 'vcpus', value: 'N', help: 'Virtual CPUs, each a worker thread; 0 runs in the main thread' },
  { name: 'memory', value: 'SIZE', help: 'Guest RAM: bytes, or with K, M or G; default 1G' },
  { name: 'timeout', value: 'TIME', help: 'Kill the guest after this time: seconds, or with ms, s, m or h' },
  { name: 'strace', value: '[FILE]', help: 'Trace system calls to stderr, or to FILE (--strace=FILE)' },
  { name: 'profile', value: 'FILE', help: 'Write where time went, as a .cpuprofile for a browser or speedscope' },
  { name: 'platform', value: 'NAME', help: 'How guest code is run: jit (default) or interp' },
  { name: 'kcov', value: '', help: 'Run the instrumented kernel, which has /sys/kernel/debug/kcov' },
  {
    name: 'instrumentation-filter',
    value: 'GLOBS',
    help: "With --kcov: report only from these source files, e.g. 'vfs/**,mm/mmap.ts'",
  },
  {
    name: 'debug',
    value: '',
    help: 'Print counters of the machine at the end, and a full report when tvisor itself fails',
  },
];

/** Flags of `do` that `debug` has too. */
const SHARED: ReadonlySet<string> = new Set(['root', 'volume', 'cwd', 'vcpus', 'memory', 'timeout', 'platform']);

export const DEBUG_FLAGS: readonly Flag[] = [
  { name: 'regions', value: 'N', help: 'Print the hottest N regions; default 10' },
  { name: 'address', value: 'ADDR', help: 'Only regions that have the guest instruction at this address' },
  { name: 'ir', value: '', help: 'With what each guest instruction means: its IR' },
  { name: 'wasm', value: '', help: 'With the WebAssembly that it became' },
  { name: 'json', value: '', help: 'Print JSON: counters, regions, names' },
  { name: 'output', value: 'FILE', help: 'Write to a file instead of stderr' },
  ...DO_FLAGS.filter(({ name }) => SHARED.has(name)),
];

/** A command line taken apart. */
export interface SplitLine {
  /** Flags as `--name=value` (`--name` for switches and left-out values), in order. */
  readonly flags: readonly string[];
  /** The guest's command and arguments, untouched. */
  readonly command: readonly string[];
}

/**
 * Takes the arguments behind a command, `do` unless said otherwise, apart. Flags end at `--` or at the first word that is not one, so that
 * the guest's own flags need no quoting. Throws a TvisorError for an unknown flag or a missing value.
 */
export function split_line(args: readonly string[], known = DO_FLAGS, name_of_command = 'do'): SplitLine {
  const flags: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === '--') return { flags, command: args.slice(i + 1) };
    if (arg === '-h' || arg === '--help') {
      flags.push('--help');
      continue;
    }
    if (!arg.startsWith('-') || arg === '-') return { flags, command: args.slice(i) };
    const equals = arg.indexOf('=');
    const name = arg.slice(arg.startsWith('--') ? 2 : 1, equals < 0 ? undefined : equals);
    const flag = known.find((candidate) => candidate.name === name);
    if (flag === undefined || !arg.startsWith('--'))
      throw new TvisorError(
        `unknown flag ${arg}`,
        `see 'tvisor ${name_of_command} --help', and put '--' before the guest's command`,
      );
    if (flag.value === '' || flag.value.startsWith('[') || equals >= 0) {
      if (flag.value === '' && equals >= 0) throw new TvisorError(`--${name} takes no value`, `write --${name}`);
      flags.push(arg);
      continue;
    }
    const value = args[++i];
    if (value === undefined) throw new TvisorError(`--${name} needs a value`, `write --${name}=${flag.value}`);
    flags.push(`--${name}=${value}`);
  }
  return { flags, command: [] };
}

/** Bytes of '512M', '1G', '65536K' or '1048576'. */
export function parse_size(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgKMG]?)(?:i?[bB])?$/.exec(text);
  const factor = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[(match?.[2] ?? '').toLowerCase()];
  if (match === null || factor === undefined)
    throw new TvisorError(`'${text}' is not a size`, 'write bytes, or a number with K, M or G');
  return Math.floor(Number(match[1]) * factor);
}

/** Milliseconds of '10', '10s', '1.5m', '250ms' or '1h'; a bare number is seconds. */
export function parse_time(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'];
  if (match === null || factor === undefined || Number(match[1]) === 0)
    throw new TvisorError(`'${text}' is not a time`, 'write seconds, or a number with ms, s, m or h');
  return Number(match[1]) * factor;
}

/** A whole number of at least 0. */
export function parse_count(text: string, what: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new TvisorError(`'${text}' is not a number of ${what}`, 'write a whole number');
  return Number(text);
}

/** A guest address: decimal, or hexadecimal with 0x. */
export function parse_address(text: string): number {
  const address = /^(0x[0-9a-fA-F]{1,13}|\d{1,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(address))
    throw new TvisorError(`'${text}' is not an address`, 'write it as the regions are printed: 0x401000');
  return address;
}

/** 'HOST:GUEST' or 'HOST:GUEST:ro'. The guest path has no colon; the host path may have some. */
export function parse_volume(text: string): Volume {
  const match = /^(.+):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (match === null) throw new TvisorError(`'${text}' is not a volume`, 'write HOST:/GUEST or HOST:/GUEST:ro');
  return { host: match[1] as string, guest: match[2] as string, read_only: match[3] === 'ro' };
}
