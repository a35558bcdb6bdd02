import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ReadAt, read_symbol_table } from '../../../engine/loader/symbols.ts';
import { compile, native_host } from '../../support/guest.ts';
import { random_of } from '../../support/random.ts';

function reader(bytes: Uint8Array): ReadAt {
  return (position, length) => (position + length <= bytes.length ? bytes.slice(position, position + length) : null);
}

if (native_host()) {
  const bytes = readFileSync(compile('debug/hot', 'static'));

  test('functions are found where nm says they are', () => {
    const table = read_symbol_table(reader(bytes));
    assert.ok(table !== null);
    const { stdout } = spawnSync('nm', ['-S', compile('debug/hot', 'static')], { encoding: 'utf8' });
    // The first segment of a static program begins at offset 0, where its code does not lie.
    const { stdout: headers } = spawnSync('readelf', ['-lW', compile('debug/hot', 'static')], { encoding: 'utf8' });
    const load = /LOAD +(0x\S+) (0x\S+) 0x\S+ 0x\S+ 0x\S+ R E/.exec(headers);
    assert.ok(load !== null, headers);
    const distance = Number(load[2]) - Number(load[1]);
    let seen = 0;
    for (const [, address, size, name] of stdout.matchAll(/^(\S+) (\S+) T (main|outer|middle|spin_here)$/gm)) {
      const offset = Number(`0x${address}`) - distance;
      assert.equal(table.lookup(offset), { name, distance: 0 });
      assert.equal(table.lookup(offset + Number(`0x${size}`) - 1), { name, distance: Number(`0x${size}`) - 1 });
      seen++;
    }
    assert.is(seen, 4);
    assert.is(table.lookup(1e12), null);
  });

  test('a damaged file has some symbols, or none', () => {
    const random = random_of(Number(process.env.TVISOR_SEED ?? 1));
    const sections = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(40, true));
    for (let i = 0; i < 60; i++) {
      const damaged = bytes.slice();
      for (let n = 0; n < 8; n++) {
        const at = random() % 2 === 0 ? random() % 64 : sections + (random() % (bytes.length - sections));
        damaged[at] = random() & 255;
      }
      read_symbol_table(reader(damaged))?.lookup(random() % bytes.length);
    }
  });
}

test('what is no ELF file has none', () => {
  assert.is(read_symbol_table(reader(new Uint8Array(10))), null);
  assert.is(read_symbol_table(reader(new Uint8Array(1000))), null);
});

test.run();
