/** A wrong errno in the kernel is found, made small and written down. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EBADF, EINVAL } from '../../../../engine/abi/errno.ts';
import { syscall_by_name } from '../../../../engine/syscalls/table.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { linux_test } from '../../../support/linux_host.ts';
import { program } from '../../../support/programs.ts';

// The dispatcher takes the handlers from the table when it is loaded: the defect must be in before.
const row = syscall_by_name('dup') as { handler: () => number };
const real = row.handler;
row.handler = () => {
  const result = real();
  return result === -EBADF ? -EINVAL : result;
};
const { DiffOracle } = await import('../../../../harness/diff/oracle.ts');
const { DiffSession } = await import('../../../../harness/diff/session.ts');

linux_test('a planted errno is found, minimised and written to the work directory', () => {
  const oracle = new DiffOracle();
  const work_dir = mkdtempSync(join(tmpdir(), 'tvisor-diff-test-'));
  try {
    const session = new DiffSession(oracle, work_dir);
    const lines = ['umask(0x12)', 'r0 = eventfd(0x1)', 'close(r0)', 'r1 = dup(r0)', 'getuid()'];
    const found = session.judge(program(...lines));
    assert.is(found?.title, 'dup: Linux -EBADF, tvisor -EINVAL');
    assert.ok(found!.program.calls.length <= 2, print_program(found!.program));
    assert.is(session.judge(program('r0 = dup(0x63)')), undefined, 'the same difference is told once');
    assert.is(session.counts.different, 2);
    assert.equal(readdirSync(found!.path).sort(), ['description', 'native.json', 'repro.prog', 'tvisor.json']);
    const text = readFileSync(join(found!.path, 'description'), 'utf8');
    assert.match(
      text,
      /^dup: Linux -EBADF, tvisor -EINVAL\ncall \d returns\n {4}Linux {3}-EBADF\n {4}tvisor {2}-EINVAL\n/,
    );
    assert.match(readFileSync(join(found!.path, 'native.json'), 'utf8'), /"result": "-EBADF"/);
  } finally {
    rmSync(work_dir, { recursive: true });
    oracle.close();
  }
});

test.run();
