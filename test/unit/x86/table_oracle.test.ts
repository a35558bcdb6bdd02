import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { check_on_host } from '../../oracle/decode_host.ts';
import { unavailable } from '../../oracle/native.ts';
import { check_table, checkable_rows } from '../../oracle/table_oracle.ts';
import { seed_of } from '../../support/random.ts';

const reason = unavailable();
const on_host = reason === '' ? test : test.skip;
if (reason !== '') console.log(`skipped: ${reason}`);

on_host('operand access and flags of the table are those of the host CPU', () => {
  const { problems } = check_table(checkable_rows(), seed_of('table oracle'), 4);
  assert.equal(problems, []);
});

on_host('the host CPU refuses what the decoder refuses, and agrees on lengths', () => {
  const { problems } = check_on_host(seed_of('decode host'), 20_000);
  assert.equal(problems, []);
});

test.run();
