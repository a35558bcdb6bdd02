/** The host as benchmarks see it: this package's files, compiled programs, and processes whose time is taken. */
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Unavailable } from './suite.ts';

/** The package's root, from wherever this module was compiled or bundled to. */
function find_package(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder) throw new Error('the benchmarks must lie in their package: no package.json above');
    folder = dirname(folder);
  }
  return folder;
}

export const PACKAGE = find_package();
/** Where C sources, scripts and data of the benchmarks are. */
export const SOURCES = join(PACKAGE, 'bench');
export const BUNDLE = join(PACKAGE, 'dist', 'bundle');
/** Where the guest sees the folder of programs and data. */
export const GUEST_FOLDER = '/tvisor-bench';

/** Whether x86-64 Linux programs run natively here. */
export function runs_natively(): boolean {
  return process.platform === 'linux' && process.arch === 'x64';
}

/** Path of a program in PATH, '' when there is none. */
export function find_program(name: string): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter))
    try {
      const path = join(folder, name);
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {}
  return '';
}

/** A folder of its own below the system's temporary one, removed when the process ends. */
function own_folder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tvisor-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let work_folder = '';

/** The folder of compiled programs and data: kept below dist where that may be written. */
export function folder(): string {
  if (work_folder !== '') return work_folder;
  const kept = join(PACKAGE, 'dist', 'bench_work');
  try {
    mkdirSync(kept, { recursive: true });
    accessSync(kept, constants.W_OK);
    work_folder = kept;
  } catch {
    work_folder = own_folder();
  }
  return work_folder;
}

function newer(a: string, b: string): boolean {
  return existsSync(a) && statSync(a).mtimeMs > statSync(b).mtimeMs;
}

/**
 * Compiles bench/NAME.c into the folder, static and optimised, unless that was done. Answers the program's name there.
 * Throws Unavailable where there is no compiler for such programs.
 */
export function compile(name: string): string {
  const source = join(SOURCES, `${name}.c`);
  const program = `${name.replaceAll('/', '_')}.elf`;
  const target = join(folder(), program);
  if (newer(target, source)) return program;
  const cc = runs_natively() ? 'cc' : 'x86_64-linux-gnu-gcc';
  if (find_program(cc) === '')
    throw new Unavailable(`${name}.c needs a C compiler for x86-64 Linux (${cc}), which is not installed`);
  const scratch = `${target}.${process.pid}`;
  const { status, stderr } = spawnSync(cc, ['-O2', '-static', '-pthread', '-o', scratch, source, '-lm'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Unavailable(`cannot compile ${name}.c:\n${stderr}`);
  renameSync(scratch, target);
  return program;
}

export interface Ended {
  readonly stdout: Buffer;
  /** Wall time and the processor time of the process and its children, in ms. */
  readonly wall_ms: number;
  readonly cpu_ms: number;
}

export interface Run {
  readonly argv: readonly string[];
  readonly cwd?: string;
  /** Host file that is standard input; nothing without. */
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** bash tells its children's times to the millisecond. */
const TIMER = 'TIMEFORMAT="%U %S"; { time "$@" 2>&4; } 4>&2 2>&3';

/**
 * Runs a command to its end. Rejects when it fails, with the end of what it said. `cpu_ms` is NaN where there is no
 * bash to tell it.
 */
export function run_process({ argv, cwd, stdin, env }: Run, signal: AbortSignal): Promise<Ended> {
  const timed = find_program('bash') !== '';
  const [file = '', ...words] = timed
    ? ['bash', '-c', `${TIMER}${stdin === undefined ? '' : ' <"$0"'}`, stdin ?? 'bench', ...argv]
    : argv;
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const input = stdin !== undefined && !timed ? 'pipe' : 'ignore';
    const child = spawn(file, words, {
      cwd: cwd ?? folder(),
      env: { ...process.env, LC_ALL: 'C', ...env },
      stdio: [input, 'pipe', 'pipe', 'pipe'],
      // Ctrl-C reaches this process alone, which then ends the whole group.
      detached: true,
    });
    const texts: Buffer[][] = [[], [], []];
    [child.stdout, child.stderr, child.stdio[3]].forEach((stream, i) => {
      (stream as NodeJS.ReadableStream).on('data', (data: Buffer) => texts[i]?.push(data));
    });
    if (input === 'pipe' && stdin !== undefined) child.stdin?.end(readFileSync(stdin));
    const end = (): void => {
      if (child.pid !== undefined) process.kill(process.platform === 'win32' ? child.pid : -child.pid, 'SIGKILL');
    };
    signal.addEventListener('abort', end, { once: true });
    child.on('error', reject);
    child.on('close', (code, killer) => {
      signal.removeEventListener('abort', end);
      const wall_ms = performance.now() - start;
      const [stdout, stderr, times] = texts.map((chunks) => Buffer.concat(chunks)) as [Buffer, Buffer, Buffer];
      if (code !== 0) {
        const ended = code === null ? `ended by ${killer}` : `exit status ${code}`;
        reject(new Error(`${ended}: ${stderr.toString().trim().slice(-500)}`));
        return;
      }
      const [user = Number.NaN, system = Number.NaN] = timed ? times.toString().trim().split(/\s+/).map(Number) : [];
      resolve({ stdout, wall_ms, cpu_ms: (user + system) * 1000 });
    });
  });
}

/** The command that runs `argv` in a machine that sees the folder of programs and data, and is in it; more `flags` of `do`. */
export function in_machine(
  argv: readonly string[],
  platform: string,
  vcpus = 1,
  flags: readonly string[] = [],
): string[] {
  const command = [process.execPath, join(BUNDLE, 'tvisor.cjs'), 'do', '--vcpus', `${vcpus}`, '--platform', platform];
  return [...command, ...flags, '--volume', `${folder()}:${GUEST_FOLDER}`, '--cwd', GUEST_FOLDER, '--', ...argv];
}

let platforms: readonly string[] | undefined;

/** The ways this build runs guest code: 'interp', and 'jit' where it has a translator. */
export function guest_platforms(): readonly string[] {
  platforms ??= ['interp', 'jit'].filter((platform) => {
    const argv = [join(BUNDLE, 'tvisor.cjs'), 'do', '--platform', platform, '--', '/tvisor-bench-no-such-program'];
    // 127: the machine was made and did not find the program.
    return spawnSync(process.execPath, argv).status === 127;
  });
  return platforms;
}
