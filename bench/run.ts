/**
 * Runs benchmark suites, each in a process of its own, from the bundles.
 *
 *     npm run bench              # all suites
 *     npm run bench -- heap      # the named ones
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..');
const SUITES = ['heap', 'interp', 'syscalls', 'startup'];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !SUITES.includes(name));
if (unknown.length > 0) {
  console.error(`bench: no suite ${unknown.join(', ')}; there are: ${SUITES.join(', ')}`);
  process.exit(2);
}
for (const suite of wanted.length > 0 ? wanted : SUITES) {
  const bundled = join(dist, 'bundle', `bench_${suite}.js`);
  const file = existsSync(bundled) ? bundled : join(dist, 'bench', `${suite}.js`);
  console.log(`# ${suite}`);
  const { status } = spawnSync(process.execPath, [file], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
