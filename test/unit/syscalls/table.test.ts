import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ENOSYS } from '../../../engine/abi/errno.ts';
import { SYSCALL_LIMIT, SYSCALL_NAMES } from '../../../engine/abi/syscall_names.ts';
import { parse_argument, parse_arguments } from '../../../engine/syscalls/args_spec.ts';
import { SYSCALLS, syscall_by_name } from '../../../engine/syscalls/table.ts';

test('names stand at their numbers', () => {
  const known: [number, string][] = [
    [0, 'read'],
    [56, 'clone'],
    [59, 'execve'],
    [231, 'exit_group'],
    [257, 'openat'],
    [334, 'rseq'],
    [424, 'pidfd_send_signal'],
    [435, 'clone3'],
    [461, 'lsm_list_modules'],
  ];
  for (const [number, name] of known) assert.is(SYSCALL_NAMES[number], name);
  assert.is(SYSCALL_NAMES[335], undefined);
  assert.is(SYSCALL_NAMES.length, SYSCALL_LIMIT);
});

test('every named call has a row, and every row parses', () => {
  for (const [number, name] of SYSCALL_NAMES.entries()) {
    const row = SYSCALLS[number];
    assert.is(row?.name, name);
    if (row === undefined) continue;
    assert.is(row.number, number);
    const args = parse_arguments(row);
    assert.ok(args.length <= 6, row.name);
    for (const arg of args)
      if ('length_argument' in arg) assert.ok(arg.length_argument < args.length, `${row.name}: ${arg.name}`);
    if (row.support === 'partial') assert.ok((row.note ?? '') !== '', `${row.name}: partial without a note`);
  }
});

test('an unsupported call answers ENOSYS', () => {
  const row = syscall_by_name('lsm_list_modules');
  assert.is(row?.support, 'unsupported');
  assert.is(row?.handler(), -ENOSYS);
  assert.is(syscall_by_name('no_such_call'), undefined);
});

test('argument specifications parse, and malformed ones do not', () => {
  assert.equal(parse_argument('count:size'), { name: 'count', type: 'size' });
  assert.equal(parse_argument('buf:out(2)'), { name: 'buf', type: 'out', length_argument: 2 });
  assert.equal(parse_argument('st:outstruct(stat)'), { name: 'st', type: 'outstruct', set: 'stat' });
  for (const bad of ['x', 'x:nothing', 'x:out', 'x:out(9)', 'x:int(1)', 'x:flags', 'x:flags(3)', ':int'])
    assert.throws(() => parse_argument(bad as 'x:int'), bad);
});

test.run();
