/**
 * `npm run bench`: the command `tvisor-harness bench`.
 *
 *     npm run bench -- syscalls --quick
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { BUNDLE } from './core/host.ts';

// Ctrl-C reaches the command as well, which prints what it has before it ends.
process.on('SIGINT', () => {});
const argv = [join(BUNDLE, 'tvisor-harness.cjs'), 'bench', ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, argv, { stdio: 'inherit' });
process.exit(status ?? 78);
