/** Programs that must do the same on the host's kernel and in the machine. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DiffOracle } from '../../../../harness/diff/oracle.ts';
import { DiffSession } from '../../../../harness/diff/session.ts';
import { linux_test } from '../../../support/linux_host.ts';
import { program } from '../../../support/programs.ts';

let shared: DiffOracle | undefined;

function oracle(): DiffOracle {
  shared ??= new DiffOracle();
  return shared;
}

linux_test('a call that blocks must block on both sides', () => {
  const pipe = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';
  const verdict = oracle().judge(program(pipe, 'read(r0, &(0x7f0000001000)=""/16, 0x10)', 'close(r0)'));
  assert.is(verdict.kind, 'equal');
  assert.is(verdict.compared, 2);
  assert.is(verdict.native[1]!.result, 'does not end');
});

linux_test('programs of which nothing may run are skipped', () => {
  const session = new DiffSession(oracle());
  session.judge(program('sync()'));
  assert.is(session.counts.skipped, 1);
  assert.is(session.counts.removed, 1);
});

test.after(() => shared?.close());
test.run();
