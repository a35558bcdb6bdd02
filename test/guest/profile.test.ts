/** Profiles: well-formed, with functions by name and what the kernel did, and without any effect on the guest. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import type { CpuProfile } from '../../engine/runtime/profile.ts';
import { compile, native_host, REPOSITORY } from '../support/guest.ts';

const TVISOR = join(REPOSITORY, 'dist', 'bundle', 'tvisor.cjs');

/** Microseconds of each stack, written from the innermost name to the outermost; checks the form on the way. */
function stacks(profile: CpuProfile): Map<string, number> {
  const { nodes, samples, timeDeltas, startTime, endTime } = profile;
  const parents = new Map<number, number>();
  const ids = new Set(nodes.map(({ id }) => id));
  assert.is(ids.size, nodes.length);
  for (const { id, children } of nodes)
    for (const child of children) {
      assert.ok(ids.has(child) && !parents.has(child));
      parents.set(child, id);
    }
  assert.is(parents.size, nodes.length - 1, 'every node but the root is a child');
  assert.is(samples.length, timeDeltas.length);
  assert.ok(timeDeltas.every((delta) => delta >= 0));
  assert.is(startTime + timeDeltas.reduce((sum, delta) => sum + delta, 0), endTime);
  const path = (id: number): string => {
    const { functionName, url } = nodes.find((node) => node.id === id)!.callFrame;
    const parent = parents.get(id);
    return `${functionName}${url === '' ? '' : ` @ ${url}`}${parent === undefined ? '' : ` < ${path(parent)}`}`;
  };
  const sums = new Map<string, number>();
  samples.forEach((id, i) => {
    sums.set(path(id), (sums.get(path(id)) ?? 0) + (timeDeltas[i + 1] ?? 0));
  });
  return sums;
}

async function profile_of(vcpus: number, ...commands: string[][]): Promise<Map<string, number>> {
  const machine = await Machine.create({ vcpus, profile: true, memory: 256 << 20 });
  try {
    for (const argv of commands) await machine.run(argv, { stdout: 'pipe' });
    return stacks(await machine.profile());
  } finally {
    await machine.close();
  }
}

test('a machine that ran nothing has an empty profile', async () => {
  const found = await profile_of(0);
  assert.ok([...found.keys()].every((stack) => /^(\(idle\) < vCPU 0 < )?\(root\)$/.test(stack)));
});

if (native_host())
  for (const vcpus of [0, 2])
    test(`functions, their callers, system calls and idle time, vcpus: ${vcpus}`, async () => {
      const binary = compile('debug/hot', 'static');
      const copy = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=60000', 'status=none'];
      const found = await profile_of(vcpus, [binary, '150000000'], copy, ['sleep', '0.3']);
      const all = [...found].sort((a, b) => b[1] - a[1]).map(([stack]) => stack);
      const text = all.slice(0, 20).join('\n');
      const called = `< middle @ ${binary} < outer @ ${binary} < main @ ${binary} < `;
      const hot = `spin_here @ ${binary} (translated) ${called}`;
      const at = all.findIndex((stack) => stack.startsWith(hot));
      assert.ok(at >= 0, text);
      assert.match(all[at] as string, / < hot\.static \[\d+\] < vCPU 0 < \(root\)$/);
      assert.ok(
        all.some((stack) => /^(read|write) \(system call\) @ kernel < .* < dd \[\d+\] < vCPU/.test(stack)),
        text,
      );
      assert.ok(
        all.some((stack) => /^\(idle\) < vCPU 0 < \(root\)$/.test(stack)),
        text,
      );
    });

if (native_host()) {
  test('a profiled run is the run that it is without', async () => {
    const run = async (profile: boolean): Promise<string> => {
      const machine = await Machine.create({ vcpus: 0, clock: 'virtual', seed: 3, profile, memory: 256 << 20 });
      try {
        const script = 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo $i; date +%N; sleep 1; date +%N';
        const { stdout } = await machine.run(['sh', '-c', script]);
        const { vcpus, uptime_ns } = await machine.statistics();
        return `${stdout} ${uptime_ns} ${vcpus.map(({ instructions, syscalls }) => `${instructions} ${syscalls}`)}`;
      } finally {
        await machine.close();
      }
    };
    assert.is(await run(true), await run(false));
  });

  test('tvisor do --profile writes a file, whole or not at all', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tvisor-profile-'));
    const file = join(folder, 'a.cpuprofile');
    const tvisor = (path: string) =>
      spawnSync(process.execPath, [TVISOR, 'do', '--profile', path, '--', 'sh', '-c', 'echo out; exit 4'], {
        encoding: 'utf8',
      });
    const { status, stdout, stderr } = tvisor(file);
    assert.is(status, 4, stderr);
    assert.is(stdout, 'out\n');
    stacks(JSON.parse(readFileSync(file, 'utf8')) as CpuProfile);
    assert.equal(readdirSync(folder), ['a.cpuprofile']);
    const refused = tvisor(join(folder, 'none', 'b.cpuprofile'));
    assert.is(refused.status, 125);
    assert.match(
      refused.stderr,
      /^tvisor: cannot write [^\n]*b\.cpuprofile [^\n]*; choose another file with --profile\n$/,
    );
    rmSync(folder, { recursive: true });
  });
}

test.run();
