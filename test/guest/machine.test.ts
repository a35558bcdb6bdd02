/** The library: results, streams, limits, several machines in one process, and what is left of a closed one. */
import { Readable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import { native_host } from '../support/guest.ts';

async function with_machine(vcpus: number, use: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = await Machine.create({ vcpus, memory: 256 << 20 });
  try {
    await use(machine);
  } finally {
    await machine.close();
  }
}

if (!native_host()) test('nothing to run on this host', () => {});
else
  for (const vcpus of [0, 1, 2]) {
    const where = vcpus === 0 ? 'inline' : `${vcpus} vCPU`;

    test(`results, ${where}`, () =>
      with_machine(vcpus, async (machine) => {
        const echo = await machine.run(['sh', '-c', 'echo out; echo err >&2; exit 5']);
        assert.is(echo.stdout, 'out\n');
        assert.is(echo.stderr, 'err\n');
        assert.is(echo.exitCode, 5);
        assert.is(echo.signal, null);
        const killed = await machine.run(['sh', '-c', 'kill -KILL $$']);
        assert.is(killed.exitCode, null);
        assert.is(killed.signal, 'SIGKILL');
        const cat = await machine.run(['cat'], { stdin: 'text', cwd: '/usr', env: { PATH: '/bin' } });
        assert.is(cat.stdout, 'text');
        const env = await machine.run(['/usr/bin/env'], { env: { ONLY: 'this' } });
        assert.is(env.stdout, 'ONLY=this\n');
        await machine.run(['nope']).then(
          () => assert.unreachable(),
          (error) => assert.is(error.status, 127),
        );
      }));

    test(`a program that never ends is killed in time, ${where}`, () =>
      with_machine(vcpus, async (machine) => {
        const busy = await machine.run(['sh', '-c', 'while :; do :; done'], { timeout: 300 });
        assert.ok(busy.timedOut);
        assert.is(busy.signal, 'SIGKILL');
        const asleep = await machine.run(['sleep', '1000'], { timeout: 300 });
        assert.ok(asleep.timedOut);
        assert.is((await machine.run(['echo', 'alive'])).stdout, 'alive\n');
      }));

    // Long enough to outlive the hand-over of the first vCPU to a thread, in every phase of it.
    test(`input that comes late, before and after computing, ${where}`, () =>
      with_machine(vcpus, async (machine) => {
        async function* lines(): AsyncGenerator<string> {
          for (let i = 0; i < 4; i++) {
            await new Promise((resolve) => setTimeout(resolve, 30));
            yield `${i}\n`;
          }
        }
        const script = 'while read n; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo $n $i; done';
        const run = await machine.run(['sh', '-c', script], { stdin: Readable.from(lines()) });
        assert.is(run.stdout, '0 3000\n1 3000\n2 3000\n3 3000\n');
        assert.is(run.exitCode, 0);
      }));

    test(`programs run side by side and share the file tree, ${where}`, () =>
      with_machine(vcpus, async (machine) => {
        const all = await Promise.all([1, 2, 3].map((n) => machine.run(['sh', '-c', `echo ${n} > /tmp/f${n}`])));
        assert.equal(
          all.map(({ exitCode }) => exitCode),
          [0, 0, 0],
        );
        assert.is((await machine.run(['sh', '-c', 'cat /tmp/f?'])).stdout, '1\n2\n3\n');
      }));

    test(`two machines do not see each other, ${where}`, () =>
      with_machine(vcpus, (one) =>
        with_machine(vcpus, async (two) => {
          const [first, second] = await Promise.all([
            one.run(['sh', '-c', 'echo one > /tmp/mark; sleep 0.1; cat /tmp/mark']),
            two.run(['sh', '-c', 'sleep 0.05; echo two > /tmp/mark; cat /tmp/mark']),
          ]);
          assert.is(first.stdout, 'one\n');
          assert.is(second.stdout, 'two\n');
        }),
      ));
  }

test.run();
