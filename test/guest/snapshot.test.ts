/** Snapshots through the library: what programs did since is undone, again and again, and nothing is lost by it. */
import { readdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine, TvisorError } from '../../engine/index.ts';
import { native_host } from '../support/guest.ts';

function host_descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

async function with_machine(vcpus: number, use: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = await Machine.create({ vcpus, memory: 256 << 20 });
  try {
    await use(machine);
  } finally {
    await machine.close();
  }
}

async function shell(machine: Machine, script: string): Promise<string> {
  const { stdout, stderr } = await machine.run(['sh', '-c', script]);
  assert.is(stderr, '', script);
  return stdout;
}

if (!native_host()) test('nothing to run on this host', () => {});
else
  for (const vcpus of [0, 2]) {
    test(`files, mounts and directories come back, ${vcpus} vCPUs`, () =>
      with_machine(vcpus, async (machine) => {
        await shell(machine, 'echo kept > /tmp/f; mkdir /tmp/d; ls -l /etc > /dev/null');
        const snapshot = await machine.snapshot();
        assert.ok(snapshot.bytes > 100_000);
        for (let i = 0; i < 5; i++) {
          await shell(
            machine,
            'echo more >> /tmp/f; rmdir /tmp/d; head -c 2000000 /dev/zero > /tmp/big; ls /etc >/dev/null',
          );
          assert.is(await shell(machine, 'cat /tmp/f; ls /tmp'), 'kept\nmore\nbig\nf\n');
          await machine.restore(snapshot);
          assert.is(await shell(machine, 'cat /tmp/f; ls /tmp'), 'kept\nd\nf\n');
        }
        const before = host_descriptors();
        for (let i = 0; i < 5; i++) {
          await shell(machine, 'ls -l /etc /usr > /dev/null; cat /etc/passwd > /dev/null');
          await machine.restore(snapshot);
        }
        assert.ok(host_descriptors() <= before + 2, `${before} descriptors became ${host_descriptors()}`);
      }));
  }

test('a snapshot needs a machine without programs, and belongs to one machine', () =>
  with_machine(0, async (machine) => {
    const running = machine.run(['sleep', '100'], { timeout: 500 });
    await machine.snapshot().then(
      () => assert.unreachable(),
      (error) => assert.match((error as TvisorError).message, 'in progress'),
    );
    await running;
    const snapshot = await machine.snapshot();
    await with_machine(0, async (other) => {
      await other.restore(snapshot).then(
        () => assert.unreachable(),
        (error) => assert.instance(error, TvisorError),
      );
    });
    await machine.restore(snapshot);
  }));

test.run();
