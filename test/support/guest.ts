/**
 * Guest programs for tests: compiling them with the host's C compiler, and running commands natively, so
 * that the same command in a machine has something to be compared with.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Machine } from '../../engine/index.ts';
import { signal_number } from '../../engine/runtime/signals.ts';

/** The repository's root. */
export const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const SOURCES = join(REPOSITORY, 'test', 'guest');
/** Where files go that the guest is to see: below dist, but not in /tmp, since the guest has its own. */
export const GUEST_FILES = REPOSITORY.startsWith('/tmp/')
  ? join('/var/tmp', `tvisor-guest${REPOSITORY.replaceAll('/', '-')}`)
  : join(REPOSITORY, 'dist', 'guest');

/** Whether the host is one on which x86-64 Linux programs run natively, and has a C compiler. */
export function native_host(): boolean {
  return process.platform === 'linux' && process.arch === 'x64' && spawnSync('cc', ['--version']).status === 0;
}

export type Linkage = 'static' | 'dynamic';

/** Compiles test/guest/NAME.c unless an up-to-date binary is there; returns its path. Throws with the compiler's words. */
export function compile(name: string, linkage: Linkage): string {
  const source = join(SOURCES, `${name}.c`);
  const binary = join(GUEST_FILES, `${name}.${linkage}`);
  mkdirSync(dirname(binary), { recursive: true });
  if (existsSync(binary) && statSync(binary).mtimeMs > statSync(source).mtimeMs) return binary;
  const own = /^\/\/ build: \S+ (.*)$/m.exec(readFileSync(source, 'utf8'))?.[1]?.split(' ') ?? [];
  const flags = ['-O1', '-w', '-pthread', ...(linkage === 'static' ? ['-static'] : []), ...own];
  const scratch = `${binary}.${process.pid}`;
  const built = spawnSync('cc', [...flags, '-o', scratch, source, '-lm'], { encoding: 'utf8' });
  if (built.error !== undefined) throw new Error(`cannot run cc (${built.error.message}): install a C compiler`);
  if (built.status !== 0) throw new Error(`cc ${name}.c failed:\n${built.stderr}`);
  const moved = spawnSync('mv', [scratch, binary]);
  if (moved.status !== 0) throw new Error(`cannot move ${scratch}`);
  return binary;
}

/** How a source may be linked: its `// build: static ...` line, else both ways. */
export function linkages(name: string): readonly Linkage[] {
  const only = /^\/\/ build: (\S+)/m.exec(readFileSync(join(SOURCES, `${name}.c`), 'utf8'))?.[1];
  return only === 'static' || only === 'dynamic' ? [only] : ['static', 'dynamic'];
}

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status, or 128 + signal. */
  readonly status: number;
}

export interface Command {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
}

/** Runs a command on the host. */
export function run_native(command: Command): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const [file = '', ...rest] = command.argv;
    const child = spawn(file, rest, { cwd: command.cwd, env: { ...command.env } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => {});
    child.stdin.end(command.stdin ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const status = code ?? 128 + signal_number(signal ?? '');
      const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString('latin1');
      resolve({ stdout: text(out), stderr: text(err), status });
    });
  });
}

/** Runs the same command in a machine. A run that takes longer than `seconds` is killed: status 137. */
export async function run_guest(machine: Machine, command: Command, seconds: number): Promise<Outcome> {
  const { argv, cwd, env, stdin = '' } = command;
  const result = await machine.run(argv, { cwd, env, stdin, timeout: seconds * 1000 });
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const status = result.exitCode ?? 128 + signal_number(result.signal ?? '');
  const late = result.timedOut ? `(killed after ${seconds} s)\n` : '';
  return { stdout: text(result.stdoutBytes), stderr: late + text(result.stderrBytes), status };
}
