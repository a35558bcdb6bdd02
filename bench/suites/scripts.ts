/** Suites that measure within a process of their own: each line a script prints is a measurement. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BUNDLE, PACKAGE } from '../core/host.ts';
import type { Measurement } from '../core/report.ts';
import type { Context, Suite } from '../core/suite.ts';

/** Runs a script with what it needs of the options: time in ms, 'quick' or 'full', filters. */
export function run_script(context: Context, file: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const { options, signal } = context;
  return new Promise((resolve, reject) => {
    const words = [`${options.time_ms}`, options.quick ? 'quick' : 'full', ...options.filter];
    const child = spawn(process.execPath, [file, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      detached: true,
    });
    const end = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', end, { once: true });
    let errors = '';
    child.stderr.on('data', (data: Buffer) => {
      errors += data.toString();
    });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      const measurement = JSON.parse(line) as Measurement;
      context.record(measurement);
      context.progress(measurement.name);
    });
    child.on('error', reject);
    child.on('close', (code, killer) => {
      signal.removeEventListener('abort', end);
      if (code === 0) resolve();
      else
        reject(
          new Error(`${code === null ? `ended by ${killer}` : `exit status ${code}`}: ${errors.trim().slice(-500)}`),
        );
    });
  });
}

/** The bundled script where there is one, in which CHECKED is off. */
function script(name: string): string {
  const bundled = join(BUNDLE, `bench_${name}.js`);
  return existsSync(bundled) ? bundled : join(PACKAGE, 'dist', 'bench', `${name}.js`);
}

export const heap_suite: Suite = {
  name: 'heap',
  summary: 'records of the kernel heap: fields, locks, allocation, beside raw typed arrays',
  legend: 'best time an operation',
  default_time_ms: 300,
  style: { base: '' },
  run: (context) => run_script(context, script('heap')),
};

export const interp_suite: Suite = {
  name: 'interp',
  summary: 'guest instructions a second in the interpreter',
  legend: 'best rate; processor time',
  default_time_ms: 1000,
  style: { base: '' },
  run: (context) => run_script(context, script('interp')),
};
