/**
 * Runs the test suites: each file in a process of its own, with a time limit; counts assertions of uvu's
 * tests, and counts a crash, a hang or an empty suite as a failure. Ends with `N passed, N failed`.
 *
 *     node dist/test/run.js [--jobs N] [--limit SECONDS] [filter...]
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

interface Outcome {
  passed: number;
  failed: number;
  skipped: number;
  output: string;
  reason: string;
}

function suites(filters: readonly string[]): string[] {
  return readdirSync(here, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
    .sort();
}

/** uvu prints `Total: N`, `Passed: N`, `Skipped: N` at the end of a file; the last block counts. */
function count(output: string, label: string): number {
  const found = [...output.matchAll(new RegExp(`${label}:\\s+(\\d+)`, 'g'))].at(-1);
  return found === undefined ? 0 : Number(found[1]);
}

function run(suite: string, limit_seconds: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(here, suite)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A guest that starts in the caller's directory does not find it below its own /tmp.
      cwd: process.cwd().startsWith('/tmp/') ? '/' : process.cwd(),
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
    });
    let output = '';
    let timed_out = false;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const timer = setTimeout(() => {
      timed_out = true;
      child.kill('SIGKILL');
    }, limit_seconds * 1000);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const total = count(output, 'Total');
      const passed = count(output, 'Passed');
      const skipped = count(output, 'Skipped');
      let failed = total - passed - skipped;
      let reason = '';
      if (timed_out) reason = `no end after ${limit_seconds} s`;
      else if (signal !== null) reason = `killed by ${signal}`;
      else if (code !== 0 && failed <= 0) reason = `exit status ${code}`;
      else if (total === 0) reason = 'no test ran';
      if (reason !== '') failed = Math.max(failed, 0) + 1;
      resolve({ passed, failed, skipped, output, reason });
    });
  });
}

async function main(argv: readonly string[]): Promise<void> {
  let jobs = 2;
  let limit_seconds = 300;
  const filters: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--jobs') jobs = Number(argv[++i]);
    else if (argv[i] === '--limit') limit_seconds = Number(argv[++i]);
    else filters.push(argv[i] as string);
  }
  const queue = suites(filters);
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const worker = async (): Promise<void> => {
    for (let suite = queue.shift(); suite !== undefined; suite = queue.shift()) {
      const started = process.hrtime.bigint();
      const outcome = await run(suite, limit_seconds);
      const ms = Number((process.hrtime.bigint() - started) / 1_000_000n);
      passed += outcome.passed;
      failed += outcome.failed;
      skipped += outcome.skipped;
      const name = relative('.', suite).replace(/\.test\.js$/, '');
      const note = outcome.reason === '' ? '' : ` (${outcome.reason})`;
      console.log(
        `${outcome.failed === 0 ? 'ok  ' : 'FAIL'} ${name}  ${outcome.passed}/${outcome.passed + outcome.failed}  ${ms} ms${note}`,
      );
      if (outcome.failed > 0) console.log(outcome.output.replace(/^/gm, '    | '));
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

await main(process.argv.slice(2));
