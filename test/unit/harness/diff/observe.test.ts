import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { differences, title_of } from '../../../../harness/diff/compare.ts';
import { known_difference } from '../../../../harness/diff/known.ts';
import { captured_ranges, type ObservedCall, observe, type RawCall } from '../../../../harness/diff/observe.ts';
import { DATA_BASE, type Program, type ResultArg } from '../../../../harness/prog/model.ts';
import { program } from '../../../support/programs.ts';

function ended(result: number, ...memory: Uint8Array[]): RawCall {
  return { finished: true, result, memory };
}

function fields({ fields: list }: ObservedCall): string {
  return list.map(({ name, value }) => `${name}=${value}`).join(' ');
}

test('process numbers are named in the order in which they appear', () => {
  const given = program('getpid()', 'r0 = fork()', 'fork()', 'wait4(r0, 0x0, 0x0, 0x0)', 'getpgid(0x0)');
  const seen = observe(given, 70, [ended(70), ended(90), ended(81), ended(90), ended(70)]);
  assert.equal(
    seen.map(({ result }) => result),
    ['self', 'process 1', 'process 2', 'process 1', 'self'],
  );
});

test('addresses outside of the data area are all the same, descriptors and errors are exact', () => {
  const given = program(
    'mmap$anonymous(0x0, 0x1000, 0x3, 0x22, 0xffffffffffffffff, 0x0)',
    'mmap$anonymous(&(0x7f0000ff0000/0x1000)=nil, 0x1000, 0x3, 0x32, 0xffffffffffffffff, 0x0)',
    'dup(0x0)',
    'dup(0x9)',
    'pause()',
  );
  const at = DATA_BASE + 0xff_0000;
  const never = { finished: false, result: 0, memory: [] };
  const seen = observe(given, 1, [ended(0x7fff_1234_5000), ended(at), ended(3), ended(-9), never]);
  assert.equal(
    seen.map(({ result }) => result),
    ['an address', String(at), '3', '-EBADF', 'does not end'],
  );
});

test('what a call writes is compared field by field, but not what differs each time', () => {
  const given = program(
    "stat(&(0x7f0000000000)='./f0\\x00', &(0x7f0000000040))",
    'waitid(0x0, 0x0, &(0x7f0000000100), 0x4, 0x0)',
  );
  assert.equal(captured_ranges(given), [
    [{ address: DATA_BASE + 0x40, length: 144 }],
    [{ address: DATA_BASE + 0x100, length: 128 }],
  ]);
  const stat = new Uint8Array(144).map((_, i) => i);
  const info = new Uint8Array(128);
  info[16] = 44;
  const [first, second] = observe(given, 44, [ended(0, stat), ended(0, info)]) as [ObservedCall, ObservedCall];
  assert.match(fields(first), /^statbuf.st_nlink=1011121314151617 statbuf.st_mode=18191a1b /);
  assert.not.match(fields(first), /st_ino|st_dev|times/);
  assert.match(fields(second), /infop.si_pid=self/);
});

test('memory that one side cannot read is a difference', () => {
  const given = program('pipe(&(0x7f0000000000))');
  const whole = observe(given, 1, [ended(0, new Uint8Array(8))]);
  const cut = observe(given, 1, [ended(0, new Uint8Array(2))]);
  const found = differences(['pipe'], whole, cut)[0];
  assert.is(found?.field, 'fds.rfd');
  assert.is(found?.ours, '2 bytes that can be read');
});

test('differences count up to one with consequences', () => {
  const call = (result: string, value = '00'): ObservedCall => ({ result, fields: [{ name: 'size', value }] });
  const names = ['dup', 'read', 'close'];
  const compare = (native: ObservedCall[], ours: ObservedCall[], count?: number) =>
    differences(names, native, ours, count).map(title_of);
  const native = [call('3'), call('-EAGAIN'), call('0')];
  assert.equal(compare(native, [call('3'), call('4'), call('-EBADF')]), ['read: Linux -EAGAIN, tvisor succeeds']);
  assert.equal(compare(native, [call('3', '01'), call('-EINTR'), call('-EBADF')]), [
    'dup writes size differently',
    'read: Linux -EAGAIN, tvisor -EINTR',
    'close: Linux succeeds, tvisor -EBADF',
  ]);
  const blocks = call('does not end');
  assert.equal(compare([call('3'), blocks, call('0')], [call('3'), blocks, call('-EBADF')]), []);
  assert.equal(compare([call('3'), blocks, call('0')], [call('4'), blocks, call('0')], 0), []);
});

test('a rule fits whole names and values, and what it says of the call', () => {
  const with_fd = program('dup(0x3)', 'dup(0x4)');
  const fd_is_3 = ({ calls }: Program, index: number) => (calls[index]!.args[0] as ResultArg).value === 3n;
  const rules = [{ reason: 'a test', name: /dup2?/, native: /-E.*/, ours: /\d/, where: fd_is_3 }];
  const difference = { call: 0, name: 'dup', kind: 'result', field: '', native: '-EBADF', ours: '3' } as const;
  assert.ok(known_difference(difference, with_fd, rules));
  const others = [
    { name: 'dup3' },
    { native: '4' },
    { ours: '33' },
    { kind: 'memory', field: 'x' },
    { call: 1 },
  ] as const;
  for (const other of others) assert.is(known_difference({ ...difference, ...other }, with_fd, rules), undefined);
});

test.run();
