/**
 * kcov as programs meet it: the programs of test/guest/kcov in the instrumented kernel with no, one and two vCPU
 * threads; that the same program gives the same trace; that nothing is left behind; the plain kernel's lack of it.
 *
 *     TVISOR_PROGRAMS=area node dist/test/run.js guest/kcov
 */
import '../support/with_kcov.ts';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import { CoverageMap } from '../../engine/kcov/map.ts';
import { quiet_counts } from '../support/counts.ts';
import { compile, native_host, REPOSITORY, run_guest } from '../support/guest.ts';

const SECONDS = 60;
const BUNDLE = join(REPOSITORY, 'dist', 'bundle');
const TVISOR = join(BUNDLE, 'tvisor.cjs');
const Instrumented = (createRequire(import.meta.url)(join(BUNDLE, 'kcov', 'engine.cjs')) as { Machine: typeof Machine })
  .Machine;
const map = new CoverageMap(readFileSync(join(BUNDLE, 'kcov', 'kcov.map.json'), 'utf8'));

const wanted = process.env.TVISOR_PROGRAMS?.split(',');
/** Programs that check for themselves and say `ok`. */
const CHECKING = readdirSync(join(REPOSITORY, 'test', 'guest', 'kcov'))
  .filter((name) => name.endsWith('.c') && name !== 'trace.c')
  .map((name) => name.slice(0, -2))
  .filter((name) => wanted === undefined || wanted.includes(name));

function command(name: string): { argv: string[]; cwd: string; env: Record<string, string> } {
  return { argv: [compile(`kcov/${name}`, 'static')], cwd: '/', env: {} };
}

function tvisor(args: readonly string[], input = ''): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [TVISOR, ...args], { input, encoding: 'utf8', maxBuffer: 1 << 29 });
}

/** Program counters of each call of trace.c. */
function traces(output: string): string[][] {
  return output
    .split(/^call \d+\n/m)
    .slice(1)
    .map((text) => text.trim().split('\n'));
}

function functions(trace: readonly string[]): (string | undefined)[] {
  return trace.map((pc) => map.find(Number(BigInt(pc) & 0xffff_ffffn))?.function_name);
}

if (!native_host()) {
  console.log('guest programs need an x86-64 Linux host with a C compiler (cc): not run here');
  test('nothing to run on this host', () => {});
} else {
  for (const name of CHECKING)
    test(name, async () => {
      for (const vcpus of [0, 1, 2]) {
        const machine = await Instrumented.create({ vcpus, memory: 256 << 20 });
        const { stdout, stderr, status } = await run_guest(machine, command(name), SECONDS);
        await machine.close();
        assert.is(stdout, 'ok\n', `${name}, ${vcpus} vCPU threads\n${stderr}`);
        assert.is(status, 0);
      }
    });

  test('the same program gives the same trace, and it is that of its calls', async () => {
    const run = async (): Promise<string> => {
      const machine = await Instrumented.create({ vcpus: 0, clock: 'virtual', seed: 3, memory: 256 << 20 });
      const { stdout, status } = await run_guest(machine, command('trace'), SECONDS);
      await machine.close();
      assert.is(status, 0);
      return stdout;
    };
    const output = await run();
    assert.is(await run(), output);
    const [getppid = [], open = [], write = []] = traces(output);
    assert.is(functions(getppid)[0], 'sys_getppid');
    assert.ok(functions(open).includes('vfs_open'));
    assert.ok(functions(write).includes('sys_write'));
    assert.not.ok(functions(write).includes('vfs_open'));
    for (const trace of traces(output)) {
      assert.ok(trace.length > 1);
      for (const name of functions(trace)) assert.ok(name !== undefined);
    }
  });

  test('a filter chooses the files that report', async () => {
    const machine = await Instrumented.create({ vcpus: 1, instrumentation_filter: 'vfs/*.ts' });
    const { stdout } = await run_guest(machine, command('trace'), SECONDS);
    await machine.close();
    const files = traces(stdout)
      .flat()
      .filter((pc) => pc !== '')
      .map((pc) => map.find(Number(BigInt(pc) & 0xffff_ffffn))?.file);
    assert.ok(files.length > 20);
    assert.ok(files.every((file) => file?.startsWith('engine/vfs/')));
  });

  test('programs that end in whatever state leave nothing behind', async () => {
    const machine = await Machine.create({ vcpus: 0, memory: 256 << 20 });
    const boot = await quiet_counts(machine);
    for (const name of ['interface', 'life', 'remote']) {
      await run_guest(machine, command(name), SECONDS);
      assert.equal(await quiet_counts(machine), boot, name);
    }
    await machine.close();
  });

  test('tvisor do --kcov, and symbolize of what it printed', () => {
    const [program = ''] = command('trace').argv;
    const { stdout } = tvisor(['do', '--kcov', '--', program]);
    const [getppid = []] = traces(stdout);
    const symbolized = tvisor(['symbolize'], getppid.join('\n'));
    assert.is(symbolized.status, 0);
    const lines = symbolized.stdout.trim().split('\n');
    assert.is(lines.length, 2 * getppid.length);
    assert.is(lines[0], getppid[0]);
    for (let i = 1; i < lines.length; i += 2)
      assert.match(lines[i] as string, /^engine\/[\w/]+\.ts:\d+\.\d+,\d+\.\d+$/);
  });

  test('the plain kernel has no kcov', () => {
    const { status, stderr } = tvisor(['do', '--', compile('kcov/trace', 'static')]);
    assert.is(status, 2);
    assert.match(stderr, /kcov: No such file or directory/);
  });
}

test('symbolize: every block, and errors that say which line', () => {
  const all = tvisor(['symbolize', '--all']);
  assert.is(all.status, 0);
  const lines = all.stdout.trim().split('\n');
  assert.is(lines.length, 2 * map.blocks);
  const pc = lines[0] as string;
  assert.match(pc, /^0xffffffff[89a-f][0-9a-f]{7}$/);
  const place = `${pc}\n${lines[1]}\n`;
  assert.equal(
    [pc, pc.slice(2), pc.toUpperCase().replace('X', 'x'), `\n ${pc} \n\n`].map(
      (text) => tvisor(['symbolize'], text).stdout,
    ),
    [place, place, place, place],
  );
  const bad = tvisor(['symbolize'], `${pc}\nnonsense\n${pc}\n`);
  assert.is(bad.status, 1);
  assert.is(bad.stdout, place);
  assert.match(bad.stderr, /^tvisor: symbolize: line 2: 'nonsense' is not a hexadecimal number; .*\n$/);
  const unknown = tvisor(['symbolize'], '0xffffffff80000001\n');
  assert.is(unknown.status, 1);
  assert.match(unknown.stderr, /line 1: there is no block at 0xffffffff80000001/);
  assert.is(tvisor(['symbolize'], '12345678901234567').status, 1);
  assert.is(tvisor(['symbolize'], `0x0000000${pc.slice(10)}`).status, 1, 'the high half counts');
  assert.is(tvisor(['symbolize'], '').stdout, '');
  assert.is(tvisor(['symbolize', '--nope']).status, 125);
  // A reader that has seen enough.
  const head = spawnSync('sh', ['-c', `"${process.execPath}" "${TVISOR}" symbolize --all | head -1`], {
    encoding: 'utf8',
  });
  assert.equal([head.stdout, head.stderr], [`${pc}\n`, '']);
  assert.match(tvisor(['symbolize', '--help']).stdout, /Examples:/);
});

test('flags that do not fit are refused with what to do', () => {
  for (const [args, message] of [
    [['do', '--instrumentation-filter=vfs', 'true'], /add --kcov/],
    [['do', '--kcov', '--instrumentation-filter=nothing', 'true'], /selects no instrumented file/],
    [['do', '--kcov', '--instrumentation-filter={vfs', 'true'], /brace is not closed/],
    [['do', '--kcov'], /no command given/],
  ] as const) {
    const { status, stderr } = tvisor(args);
    assert.is(status, 125);
    assert.match(stderr, message);
  }
});

test('the plain bundle has no trace of it', () => {
  const plain = readFileSync(join(BUNDLE, 'machine.cjs'), 'utf8');
  assert.equal(plain.match(/kcov_(pc|cmp|switch|attach|pause|resume)|layout\(.Kcov|TVISOR_KCOV|debugfs_/g), null);
  // What is left are the record fields, which are the same in both, and the map's reader.
  assert.match(readFileSync(join(BUNDLE, 'kcov', 'machine.cjs'), 'utf8'), /\bkcov_pc\(-\d+\)/);
});

test.run();
