/**
 * Whole programs on every platform, deterministically: output, status and the number of instructions are the same
 * whether guest code is interpreted, translated where it is hot, or translated at first sight.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import { PLATFORMS } from '../../engine/platform/create.ts';
import { compile, native_host, run_guest } from '../support/guest.ts';

const SECONDS = 120;
const ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };
const PROGRAMS = ['cpu_faults', 'segv_fix', 'strings', 'tiers'];

/** What a program printed, how it ended, and the instructions that the machine had run then. */
async function outcome(platform: (typeof PLATFORMS)[number], program: string): Promise<string> {
  const machine = await Machine.create({ platform, vcpus: 0, clock: 'virtual', seed: 7, memory: 256 << 20 });
  try {
    const command = { argv: [compile(program, 'static')], cwd: '/', env: ENVIRONMENT };
    const { stdout, status } = await run_guest(machine, command, SECONDS);
    const { vcpus } = await machine.statistics();
    return `${stdout}\nstatus ${status}, ${vcpus.reduce((sum, vcpu) => sum + vcpu.instructions, 0)} instructions`;
  } finally {
    await machine.close();
  }
}

if (native_host())
  for (const program of PROGRAMS)
    test(program, async () => {
      const wanted = await outcome('interp', program);
      for (const platform of PLATFORMS) assert.is(await outcome(platform, program), wanted, platform);
    });

test.run();
