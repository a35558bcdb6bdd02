/**
 * Guest programs for tests: compiling them with the host's C compiler, and running commands natively, so
 * that the same command in a machine has something to be compared with.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const SOURCES = join(REPOSITORY, 'test', 'guest');

/** Whether the host is one on which x86-64 Linux programs run natively, and has a C compiler. */
export function native_host(): boolean {
  return process.platform === 'linux' && process.arch === 'x64' && spawnSync('cc', ['--version']).status === 0;
}

export type Linkage = 'static' | 'dynamic';

/** Compiles test/guest/NAME.c unless an up-to-date binary is there; returns its path. Throws with the compiler's words. */
export function compile(name: string, linkage: Linkage): string {
  const source = join(SOURCES, `${name}.c`);
  const directory = join(tmpdir(), `tvisor-guest-${process.getuid?.() ?? 0}`);
  mkdirSync(directory, { recursive: true });
  const binary = join(directory, `${name}.${linkage}`);
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

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

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
      const status = code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0);
      const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString('latin1');
      resolve({ stdout: text(out), stderr: text(err), status });
    });
  });
}
