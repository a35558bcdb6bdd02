/** The programs of the cpu suite: small ones of our own, and real ones where they are installed. */
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { data_file, make_c_source, make_lines, make_text } from '../core/data.ts';
import { compile, find_program, SOURCES } from '../core/host.ts';
import { Unavailable } from '../core/suite.ts';

/** How much work: full for native and translated runs, less for the slow ways, least to see that it works. */
export type Amount = 'full' | 'less' | 'least';

export interface Basket {
  readonly name: string;
  /** Whether it measures how a program starts rather than how it runs. */
  readonly startup: boolean;
  /** The command, in the folder of programs and data. Throws Unavailable where something is not installed. */
  command(amount: Amount): Command;
}

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

type Sizes = readonly [full: number, less: number, least: number];

function size(sizes: Sizes, amount: Amount): number {
  return sizes[{ full: 0, less: 1, least: 2 }[amount]] as number;
}

/** bench/cpu/NAME.c with its amount of work. */
function own(name: string, sizes: Sizes): Basket {
  return {
    name,
    startup: false,
    command: (amount) => ({ argv: [`./${compile(`cpu/${name}`)}`, `${size(sizes, amount)}`] }),
  };
}

function installed(name: string): string {
  const path = find_program(name);
  if (path === '') throw new Unavailable(`${name} is not installed`);
  return path;
}

/** The interpreter itself: what is in PATH may be a script that starts it. */
function python(): string {
  const { status, stdout } = spawnSync(installed('python3'), ['-c', 'import sys; print(sys.executable)'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Unavailable('python3 does not run');
  return realpathSync(stdout.trim());
}

/** GCC's compiler proper, since gcc itself only starts others. */
function cc1(): string {
  const { stdout } = spawnSync(installed('gcc'), ['-print-prog-name=cc1'], { encoding: 'utf8' });
  const path = stdout.trim();
  if (!path.startsWith('/')) throw new Unavailable("gcc's cc1 is not installed");
  return path;
}

function text(kib: number): string {
  return data_file(`text_${kib}.txt`, () => make_text(kib * 1024));
}

function script(name: string): string {
  const source = readFileSync(join(SOURCES, 'cpu', name), 'utf8');
  return data_file(name, () => source);
}

function real(name: string, sizes: Sizes, argv: (n: number) => readonly string[], env?: Command['env']): Basket {
  const command = (amount: Amount): Command => {
    const made = { argv: argv(size(sizes, amount)) };
    return env === undefined ? made : { ...made, env };
  };
  return { name, startup: false, command };
}

function start(name: string, argv: () => readonly string[]): Basket {
  return { name: `start: ${name}`, startup: true, command: () => ({ argv: argv() }) };
}

function inserts(n: number): string {
  return `CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value REAL); CREATE INDEX by_name ON t(name);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})
INSERT INTO t SELECT i, 'name' || (i * 7919 % 10007), i / 3.0 FROM n;
SELECT count(*), sum(value), max(name) FROM t WHERE name > 'name5';`;
}

/** OpenSSL without AVX and SHA instructions, which the guest's processor does not have either. */
const SAME_DIGEST_PATH = { OPENSSL_ia32cap: '~0x1000000000000000:0' };

/** Sizes: about half a second natively, a tenth of that, and a few milliseconds. */
export const BASKET: readonly Basket[] = [
  own('xorshift', [250, 25, 1]),
  own('chase', [8, 1, 1]),
  own('nbody', [8000, 400, 1]),
  own('matmul', [160, 16, 1]),
  own('memstr', [2000, 100, 1]),
  own('quicksort', [6, 1, 1]),
  own('dispatch', [400, 40, 1]),
  own('mix', [300, 30, 1]),
  real('sha256sum', [65536, 8192, 16], (n) => [installed('sha256sum'), text(n)], SAME_DIGEST_PATH),
  real('gzip -9', [8192, 1024, 16], (n) => [installed('gzip'), '-9', '-n', '-c', text(n)]),
  real('xz -1', [8192, 1024, 16], (n) => [installed('xz'), '-1', '-T1', '-c', text(n)]),
  real('sort', [1_000_000, 100_000, 1000], (n) => [
    installed('sort'),
    '--parallel=1',
    '-o',
    '/dev/null',
    data_file(`lines_${n}.txt`, () => make_lines(n)),
  ]),
  real('mawk', [16384, 1024, 16], (n) => [installed('mawk'), '-f', script('words.awk'), text(n)]),
  real('perl loop', [2_000_000, 200_000, 1000], (n) => [installed('perl'), script('loop.pl'), `${n}`]),
  real('perl regex', [3072, 256, 16], (n) => [installed('perl'), script('regex.pl'), text(n)]),
  real('python3 n-body', [40_000, 2000, 10], (n) => [python(), '-I', '-S', script('nbody.py'), `${n}`]),
  real('python3 fannkuch', [9, 8, 5], (n) => [python(), '-I', '-S', script('fannkuch.py'), `${n}`]),
  real('sqlite3', [400_000, 40_000, 100], (n) => [installed('sqlite3'), ':memory:', inserts(n)]),
  real('lua', [750, 75, 1], (n) => [installed('lua'), script('mix.lua'), `${n}`]),
  real('gcc -O2 (cc1)', [4000, 400, 20], (n) => {
    const source = data_file(`source_${n}.c`, () => make_c_source(n));
    return [cc1(), '-quiet', '-O2', '-fpreprocessed', source, '-o', '-'];
  }),
  start('true', () => ['/bin/true']),
  start('sh -c :', () => ['/bin/sh', '-c', ':']),
  start('perl -e 1', () => [installed('perl'), '-e', '1']),
  start('python3 -c pass', () => [python(), '-c', 'pass']),
];
