import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Prng } from '../../../../engine/base/prng.ts';
import { form_of, VARIANTS, variant_of, variants_of } from '../../../../engine/platform/interp/forms.ts';
import { generate_interpreter } from '../../../../engine/platform/interp/generate.ts';
import { decode, new_instruction } from '../../../../engine/x86/decoder.ts';
import { encodable_rows, random_encoding } from '../../../../engine/x86/encode_random.ts';
import { ATTR_MMX, ATTR_X87 } from '../../../../engine/x86/instruction.ts';
import { ROWS } from '../../../../engine/x86/table.ts';

test('every general-purpose row has semantics', () => {
  const missing = new Set(generate_interpreter().missing);
  const vector = /^(s?sse|fxsr|mmx|x87)/;
  const integer = ROWS.filter((row) => (row.attributes & (ATTR_X87 | ATTR_MMX)) === 0 && !vector.test(row.feature));
  assert.ok(integer.length > 300);
  assert.equal(
    integer.filter((row) => missing.has(row.semantics)).map((row) => row.mnemonic),
    [],
  );
});

test('variants are small and name one form each', () => {
  for (const row of ROWS) {
    const variants = variants_of(row);
    assert.is(new Set(variants).size, variants.length, row.encoding);
    for (const variant of variants) assert.ok(variant < VARIANTS);
  }
});

test('what the decoder produces is a form that was generated for', () => {
  const prng = new Prng(1);
  const instruction = new_instruction();
  for (const row of encodable_rows()) {
    for (let i = 0; i < 30; i++) {
      const bytes = new Uint8Array(16);
      bytes.set(random_encoding(row, prng).slice(0, 15));
      if (decode(bytes, 0, 16, instruction) <= 0) continue;
      const variant = variant_of(instruction);
      assert.ok(variants_of(instruction.row).includes(variant), `${row.mnemonic} ${row.encoding} ${variant}`);
      const form = form_of(instruction.row, variant);
      form.operands.forEach((operand, n) => {
        const decoded = instruction.operands[n]!;
        assert.is(operand.kind, decoded.kind, row.encoding);
        if (operand.kind !== 'imm') assert.is(operand.size, Math.max(decoded.size, 0), row.encoding);
      });
    }
  }
});

test.run();
