/**
 * The host's own binaries: each command line of commands.ts natively and in a machine; standard output and exit
 * status must be the same.
 *
 *     TVISOR_COMMANDS='grep|sed' node dist/test/run.js guest/host_binaries     # only lines that match
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import { type Command, GUEST_FILES, native_host, run_guest, run_native } from '../support/guest.ts';
import { COMMANDS, write_fixture } from './commands.ts';

const SECONDS = 60;
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', HOME: '/tmp', TZ: 'UTC' };

/** Words that the shell itself provides or that only join commands. */
const BUILT_IN =
  /^(true|false|echo|printf|test|\[|for|i=0;|f\(\)|case|trap|\(exit|kill|exec|sleep|set|no_such_command_here)/;

/** Whether the line's first program is there. */
function available(line: string): boolean {
  if (BUILT_IN.test(line)) return true;
  return spawnSync('sh', ['-c', `command -v ${line.split(' ')[0]}`]).status === 0;
}

const filter = new RegExp(process.env.TVISOR_COMMANDS ?? '');

if (!native_host()) {
  console.log('host binaries need an x86-64 Linux host: not run here');
  test('nothing to run on this host', () => {});
} else {
  // Not in /tmp: the guest has its own.
  mkdirSync(GUEST_FILES, { recursive: true });
  const base = mkdtempSync(join(GUEST_FILES, 'host-'));
  const fixture = join(base, 'fixture');
  mkdirSync(fixture);
  write_fixture(fixture);
  let machine: Promise<Machine> | null = null;

  COMMANDS.forEach((line, i) => {
    if (!filter.test(line) || !available(line)) return;
    test(line.replaceAll('\n', '\\n'), async () => {
      // The machine sees host files made after its start; what it writes itself stays in its memory.
      const [here, there] = ['native', 'guest'].map((side) => join(base, `${i}.${side}`)) as [string, string];
      cpSync(fixture, here, { recursive: true, preserveTimestamps: true });
      cpSync(fixture, there, { recursive: true, preserveTimestamps: true });
      const command = (cwd: string): Command => ({ argv: ['/bin/sh', '-c', line], cwd, env: ENVIRONMENT });
      const native = await run_native(command(here));
      machine ??= Machine.create({ vcpus: 2, memory: 1 << 30 });
      const guest = await run_guest(await machine, command(there), SECONDS);
      assert.is(guest.stdout, native.stdout, guest.stderr);
      assert.is(guest.status, native.status, `status; stderr: ${guest.stderr}`);
    });
  });

  test.after(async () => {
    await (await machine)?.close();
    rmSync(base, { recursive: true, force: true });
  });
}

test.run();
