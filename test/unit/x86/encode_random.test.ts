import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Prng } from '../../../engine/base/prng.ts';
import { RBX, RCX } from '../../../engine/machine/cpu.layout.ts';
import { decode, NEED_MORE, new_instruction } from '../../../engine/x86/decoder.ts';
import { encodable_rows, random_encoding } from '../../../engine/x86/encode_random.ts';
import { REGISTER_NONE } from '../../../engine/x86/instruction.ts';
import { ROWS } from '../../../engine/x86/table.ts';

const out = new_instruction();

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

test('every row can be reached', () => {
  const reached = new Set(encodable_rows());
  const lost = ROWS.filter((row) => row.id !== 0 && !reached.has(row));
  assert.equal(
    lost.map((row) => `${row.mnemonic} ${row.encoding}`),
    [],
  );
});

test('a random encoding of a row decodes to that row, to its last byte', () => {
  const prng = new Prng(1);
  for (const row of encodable_rows()) {
    for (let n = 0; n < 50; n++) {
      const bytes = random_encoding(row, prng);
      const length = decode(bytes, 0, bytes.length, out);
      assert.is(length, bytes.length, `${row.mnemonic} ${row.encoding}: ${hex(bytes)}`);
      assert.is(out.row, row, `${row.mnemonic} ${row.encoding}: ${hex(bytes)} is ${out.row.mnemonic}`);
    }
  }
});

test('cut at any byte, it needs more', () => {
  const prng = new Prng(3);
  for (const row of encodable_rows()) {
    const bytes = random_encoding(row, prng);
    for (let limit = 0; limit < bytes.length; limit++) {
      assert.is(decode(bytes, 0, limit, out), NEED_MORE, `${row.mnemonic} ${row.encoding}: ${hex(bytes)}`);
    }
  }
});

test('constraints hold', () => {
  const prng = new Prng(2);
  for (const row of encodable_rows()) {
    for (let n = 0; n < 10; n++) {
      const bytes = random_encoding(row, prng, {
        form: 'memory',
        registers: [RCX, 9],
        high_bytes: false,
        bases: [RBX],
        indexes: [],
        displacement: [16, 300],
        short_addresses: false,
        redundant_prefixes: false,
        lock: false,
        repeat: false,
      });
      assert.is(decode(bytes, 0, bytes.length, out), bytes.length);
      assert.is(out.address_size, 8);
      assert.is(out.lock || out.rep || out.repne, false);
      for (const [index, operand] of out.operands.slice(0, out.operand_count).entries()) {
        const { access, from } = row.operands[index]!;
        if (operand.kind === 'mem' && from !== 'moffs') {
          assert.equal([out.base, out.index], [RBX, REGISTER_NONE]);
          assert.ok(out.displacement >= 16 && out.displacement <= 300);
        }
        if (operand.kind === 'reg' && operand.cls === 'gpr' && from !== 'fixed' && access !== 'none') {
          assert.ok(operand.reg === RCX || operand.reg === 9, `${row.mnemonic} ${hex(bytes)}`);
        }
      }
    }
  }
});

test.run();
