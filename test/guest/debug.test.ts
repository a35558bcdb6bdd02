/** `tvisor debug` as a user meets it: hot code is found, named and shown, and the counters add up. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TierReport } from '../../engine/runtime/region_text.ts';
import { compile, native_host, REPOSITORY } from '../support/guest.ts';

const TVISOR = join(REPOSITORY, 'dist', 'bundle', 'tvisor.cjs');

function tvisor(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [TVISOR, ...args], { input: '', encoding: 'utf8', maxBuffer: 1 << 29 });
}

test('help', () => {
  assert.match(tvisor(['help']).stdout, /tvisor debug \[flags\]/);
  const { stdout } = tvisor(['debug', '--help']);
  assert.match(stdout, /--regions N[\s\S]*--ir[\s\S]*--wasm[\s\S]*Examples:[\s\S]*Exit status:/);
  assert.is(tvisor(['help', 'debug']).stdout, stdout);
  for (const args of [[], ['--strace', 'true'], ['--regions=x', 'true'], ['--address=main', 'true']]) {
    const { status, stderr } = tvisor(['debug', ...args]);
    assert.is(status, 125, args.join(' '));
    assert.match(stderr, /^tvisor: [^\n]*; [^\n]*\n$/);
  }
});

if (native_host()) {
  test('the hot loop is found by name, with its instructions, IR and WebAssembly', () => {
    const binary = compile('debug/hot', 'static');
    const folder = mkdtempSync(join(tmpdir(), 'tvisor-debug-'));
    const file = join(folder, 'report.json');
    for (const vcpus of ['0', '2']) {
      const line = ['debug', '--json', '--ir', '--wasm', '--regions=3', `--output=${file}`, `--vcpus=${vcpus}`, binary];
      const { status, stdout, stderr } = tvisor(line);
      assert.is(status, 3, stderr);
      assert.match(stdout, /^\d+\n$/);
      assert.is(stderr, '');
      const { totals, regions, statistics } = JSON.parse(readFileSync(file, 'utf8')) as TierReport;
      const [hottest] = regions;
      assert.ok(hottest !== undefined && regions.length <= 3);
      assert.is(hottest.name.symbol, 'spin_here');
      assert.is(hottest.place.path, binary);
      assert.match(hottest.listing.join('\n'), /imul [\s\S]*flags = /);
      assert.match(hottest.wasm, /\(func \$region_[0-9a-f]+ [\s\S]*loop[\s\S]*mul/);
      assert.ok(hottest.instructions > 20e6, `${hottest.instructions} instructions`);
      assert.ok(totals.translated <= totals.instructions && totals.translated >= hottest.instructions);
      assert.is(
        statistics.vcpus.reduce((sum, vcpu) => sum + vcpu.instructions, 0),
        totals.instructions,
      );
    }
    assert.equal(readdirSync(folder), ['report.json']);
    rmSync(folder, { recursive: true });
  });

  test('text names regions, and an address chooses among them', () => {
    const binary = compile('debug/hot', 'static');
    const text = tvisor(['debug', '--regions', '1', binary]).stderr;
    const [, address] = /\nregion 1: (0x[0-9a-f]+) spin_here\+?\S* \(/.exec(text) ?? [];
    assert.ok(address !== undefined, text);
    assert.match(text, /\ntranslated: \d+ instructions \(\d+\.\d %\)/);
    const chosen = tvisor(['debug', '--address', address, binary]).stderr;
    assert.match(chosen, new RegExp(`\\nregion 1: ${address} `));
    assert.not.match(chosen, /\nregion 9: /);
    assert.not.match(tvisor(['debug', '--address', '0x10', binary]).stderr, /\nregion \d/);
  });

  test('a report that cannot be written is 125, and leaves nothing', () => {
    const { status, stderr } = tvisor(['debug', '--output', '/nowhere/report', 'true']);
    assert.is(status, 125);
    assert.match(stderr, /^tvisor: cannot write \/nowhere\/report [^\n]*; [^\n]*\n$/);
    assert.not.ok(existsSync('/nowhere'));
    assert.is(tvisor(['debug', 'no-such-command']).status, 127);
  });
}

test.run();
