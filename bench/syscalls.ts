/**
 * What system calls cost the guest, beside what the same program measures on the host: `bench/syscalls.c`, static.
 *
 *     npm run bench -- syscalls
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native_host, REPOSITORY } from '../test/support/guest.ts';
import { load_machine } from './bundle.ts';

/** "name\tnanoseconds" lines, in order. */
function parse(text: string): (readonly [name: string, ns: number])[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([name = '', ns = '']) => [name, Number(ns)] as const);
}

/** Builds the program outside /tmp, of which the guest has its own; answers its path. */
function build(): string {
  const folder = join(REPOSITORY, 'dist', 'guest');
  mkdirSync(folder, { recursive: true });
  const program = join(folder, 'bench_syscalls');
  const source = join(REPOSITORY, 'bench', 'syscalls.c');
  const { status, stderr } = spawnSync('cc', ['-O2', '-static', '-pthread', '-o', program, source]);
  if (status !== 0) throw new Error(`cc syscalls.c failed:\n${stderr}`);
  return program;
}

function time(ns: number): string {
  return ns < 10_000 ? `${ns.toFixed(0)} ns` : `${(ns / 1000).toFixed(0)} us`;
}

async function main(): Promise<void> {
  if (!native_host()) {
    console.log('needs an x86-64 Linux host with a C compiler');
    return;
  }
  const program = build();
  const scratch = mkdtempSync(join(tmpdir(), 'tvisor-bench-'));
  const native = parse(spawnSync(program, { cwd: scratch, encoding: 'utf8' }).stdout);
  rmSync(scratch, { recursive: true });
  const { Machine } = await load_machine();
  const machine = await Machine.create({ vcpus: 1 });
  const run = await machine.run([program], { cwd: '/tmp' });
  await machine.close();
  if (run.exitCode !== 0) throw new Error(`the guest failed: ${run.stderr}`);
  const guest = new Map(parse(run.stdout));
  console.log(`${'call'.padEnd(28)} ${'native'.padStart(10)} ${'tvisor'.padStart(10)} ${'ratio'.padStart(7)}`);
  for (const [name, ns] of native) {
    const ours = guest.get(name) ?? Number.NaN;
    console.log(
      `${name.padEnd(28)} ${time(ns).padStart(10)} ${time(ours).padStart(10)} ${(ours / ns).toFixed(1).padStart(7)}`,
    );
  }
}

await main();
