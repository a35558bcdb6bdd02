/**
 * From the command line to the exit status: wall and processor time of `tvisor do -- CMD`, of Node alone, and of a guest
 * that sleeps; and bytes a second through a guest that copies.
 *
 *     npm run bench -- startup
 */
import { spawn, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMAND } from './bundle.ts';

const ROUNDS = 10;

interface Usage {
  readonly wall: number;
  readonly cpu: number;
}

/** One run by a shell that tells its children's times. */
function run_once(argv: readonly string[]): Usage {
  const start = performance.now();
  const script = 'TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>/dev/null </dev/null';
  const { stderr } = spawnSync('bash', ['-c', script, 'bench', ...argv], { encoding: 'utf8' });
  const wall = performance.now() - start;
  const [user = 0, system = 0] = stderr.trim().split(/\s+/).map(Number);
  return { wall, cpu: (user + system) * 1000 };
}

function measure(name: string, argv: readonly string[], rounds = ROUNDS): Usage {
  const runs = Array.from({ length: rounds }, () => run_once(argv));
  const wall = runs.map((run) => run.wall).sort((a, b) => a - b);
  const cpu = Math.min(...runs.map((run) => run.cpu));
  const best = { wall: wall[0] as number, cpu };
  const median = wall[wall.length >> 1] as number;
  const columns = [best.wall, median, cpu].map((ms) => `${ms.toFixed(0).padStart(8)} ms`);
  console.log(`${name.padEnd(28)} ${columns.join(' ')}`);
  return best;
}

const MEGABYTES = 200;

/** Bytes through `cat`: a host file in, a host pipe out. */
function measure_pipe(): Promise<void> {
  const file = join(tmpdir(), `tvisor-bench-${process.pid}`);
  const chunk = new Uint8Array(1 << 20).map((_, i) => (i * 31) ^ (i >> 8));
  rmSync(file, { force: true });
  for (let i = 0; i < MEGABYTES; i++) writeFileSync(file, chunk, { flag: 'a' });
  const script = 'cat "$0" | "$@" | cat';
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const argv = ['-c', script, file, process.execPath, COMMAND, 'do', '--', 'cat'];
    const child = spawn('sh', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    let bytes = 0;
    child.stdout.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    child.on('error', reject);
    child.on('close', () => {
      rmSync(file);
      if (bytes !== MEGABYTES << 20) reject(new Error(`${bytes} bytes came out of ${MEGABYTES} MiB`));
      const seconds = (performance.now() - start) / 1000;
      const rate = `${(MEGABYTES / seconds).toFixed(0)} MiB/s`;
      console.log(`${`${MEGABYTES} MiB through cat`.padEnd(28)} ${rate.padStart(11)}`);
      resolve();
    });
  });
}

/** Whether a program is there on this host, by its name in PATH. */
function present(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

const head = ['best', 'median', 'processor'].map((word) => word.padStart(11));
console.log(`${'command'.padEnd(28)} ${head.join(' ')}`);
measure('node -e 0', [process.execPath, '-e', '0']);
const tvisor = (...command: string[]): string[] => [process.execPath, COMMAND, 'do', '--', ...command];
measure('do -- true', tvisor('/bin/true'));
measure('do -- sh -c :', tvisor('sh', '-c', ':'));
if (present('perl')) measure('do -- perl -e 1', tvisor('perl', '-e', '1'));
if (present('python3')) measure('do -- python3 -c pass', tvisor('python3', '-c', 'pass'), 3);
const woken = measure('do -- sleep 0', tvisor('sleep', '0'));
const asleep = measure('do -- sleep 2', tvisor('sleep', '2'));
const awake = Math.max(0, asleep.cpu - woken.cpu);
console.log(`${'of it, asleep'.padEnd(28)} ${awake.toFixed(0).padStart(8)} ms`);
await measure_pipe();
