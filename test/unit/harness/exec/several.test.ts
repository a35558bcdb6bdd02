import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { create_executor } from '../../../../harness/exec/machine_executor.ts';
import { exec_encode } from '../../../../harness/prog/exec_encode.ts';
import { CHECK_ALL, summary } from '../../../support/executor.ts';
import { program } from '../../../support/programs.ts';

test('executors in one thread do not see each other, whatever they are made of', () => {
  const some = [
    create_executor(),
    create_executor({ sandbox: 'setuid' }),
    create_executor({ sanitize: false, heap_bytes: 1 << 20, ram_bytes: 32 << 20 }),
  ];
  const make = exec_encode(
    program("mkdir(&(0x7f0000000040)='./d\\x00', 0x1ff)", 'getuid()', "mkdir(&(0x7f0000000040)='/d\\x00', 0x1ff)"),
  );
  const wanted = ['done: 0 0 0', 'done: 0 65534 -13', 'done: 0 0 0'];
  for (let round = 0; round < 3; round++)
    for (const [i, executor] of some.entries()) assert.is(summary(executor.run(make, CHECK_ALL)), wanted[i]);
  some[1]?.close();
  assert.throws(() => some[1]?.run(make, CHECK_ALL), /closed/);
  assert.is(summary((some[0] as (typeof some)[0]).run(make, CHECK_ALL)), wanted[0]);
});

test.run();
