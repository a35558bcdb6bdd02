/**
 * The C programs of this folder, static and dynamic, natively and in machines with one and two vCPUs: standard
 * output and exit status must be the same.
 *
 *     node dist/test/run.js guest/programs              # all
 *     TVISOR_PROGRAMS=pthreads,sleeps node dist/test/run.js guest/programs
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import { type Command, compile, linkages, native_host, REPOSITORY, run_guest, run_native } from '../support/guest.ts';

const SECONDS = 120;
const ARGUMENTS = ['one', '', 'three four'];
const ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', GUEST_VAR: 'value', EMPTY: '', HOME: '/' };

const wanted = process.env.TVISOR_PROGRAMS?.split(',');
const names = readdirSync(join(REPOSITORY, 'test', 'guest'))
  .filter((name) => name.endsWith('.c'))
  .map((name) => name.slice(0, -2))
  .filter((name) => wanted === undefined || wanted.includes(name))
  .sort();

if (!native_host()) {
  console.log('guest programs need an x86-64 Linux host with a C compiler (cc): not run here');
  test('nothing to run on this host', () => {});
} else {
  const machines = new Map<number, Promise<Machine>>();
  const machine_of = (vcpus: number): Promise<Machine> => {
    let machine = machines.get(vcpus);
    if (machine === undefined) {
      machine = Machine.create({ vcpus, memory: 512 << 20 });
      machines.set(vcpus, machine);
    }
    return machine;
  };

  for (const name of names)
    test(name, async () => {
      for (const linkage of linkages(name)) {
        const command: Command = { argv: [compile(name, linkage), ...ARGUMENTS], cwd: '/tmp', env: ENVIRONMENT };
        const native = await run_native(command);
        for (const vcpus of [1, 2]) {
          const guest = await run_guest(await machine_of(vcpus), command, SECONDS);
          const where = `${name}, ${linkage}, ${vcpus} vCPU`;
          assert.is(guest.stdout, native.stdout, `${where}\n${guest.stderr}`);
          assert.is(guest.status, native.status, `${where}: status\n${guest.stderr}`);
        }
      }
    });

  test.after(async () => {
    for (const machine of machines.values()) await (await machine).close();
  });
}

test.run();
