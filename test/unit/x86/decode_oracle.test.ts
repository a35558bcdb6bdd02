import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROWS } from '../../../engine/x86/table.ts';
import { DecodeGenerator, SLOT } from '../../oracle/decode_generator.ts';
import { DecodeOracle } from '../../oracle/decode_oracle.ts';
import { executable_sections, sweep } from '../../oracle/sweep.ts';
import { seed_of } from '../../support/random.ts';

const COUNT = 150_000;
const SWEPT = 50_000;

test('random byte strings decode as iced-x86 decodes them, and every row comes up', () => {
  const oracle = new DecodeOracle();
  const bytes = new Uint8Array(COUNT * SLOT);
  new DecodeGenerator(seed_of('decode oracle')).fill(bytes);
  oracle.load(bytes);
  const rows = new Set<number>();
  for (let at = 0; at < bytes.length; at += SLOT) {
    assert.is(oracle.compare(at), null);
    rows.add(oracle.row_id);
  }
  oracle.free();
  rows.delete(0);
  assert.is(rows.size, ROWS.length - 1);
});

test('the code of host programs decodes as iced-x86 decodes it', () => {
  const files = ['/bin/bash', '/lib/x86_64-linux-gnu/libc.so.6', '/lib/x86_64-linux-gnu/libm.so.6', '/bin/busybox'];
  for (const file of files.filter((name) => existsSync(name))) {
    const result = { instructions: 0, skipped: 0, problems: [] };
    for (const section of executable_sections(readFileSync(file))) sweep(section, result, SWEPT);
    assert.equal(result.problems, [], file);
    assert.ok(result.instructions > 1000, file);
  }
});

test.run();
