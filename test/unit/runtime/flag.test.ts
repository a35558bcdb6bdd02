import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse_count, parse_size, parse_time, parse_volume, split_line } from '../../../engine/runtime/flag.ts';

test('flags end at the first word that is not one, or at --', () => {
  assert.equal(split_line(['ls', '-l', '--root']), { flags: [], command: ['ls', '-l', '--root'] });
  assert.equal(split_line(['--vcpus', '2', '--', '--debug']), { flags: ['--vcpus=2'], command: ['--debug'] });
  assert.equal(split_line(['--strace', 'ls']), { flags: ['--strace'], command: ['ls'] });
  assert.equal(split_line(['--strace=f', '--debug', 'ls']), { flags: ['--strace=f', '--debug'], command: ['ls'] });
  assert.equal(split_line(['-']), { flags: [], command: ['-'] });
  assert.equal(split_line([]), { flags: [], command: [] });
});

test('unknown flags and missing values are named', () => {
  assert.throws(() => split_line(['--nope', 'ls']), /unknown flag --nope/);
  assert.throws(() => split_line(['-v', 'ls']), /unknown flag -v/);
  assert.throws(() => split_line(['--vcpus']), /--vcpus needs a value/);
  assert.throws(() => split_line(['--debug=1']), /takes no value/);
});

test('sizes, times, counts and volumes', () => {
  assert.is(parse_size('1G'), 2 ** 30);
  assert.is(parse_size('512m'), 512 * 2 ** 20);
  assert.is(parse_size('64KiB'), 65536);
  assert.is(parse_size('100'), 100);
  for (const bad of ['', 'G', '1T', '-1', '1 2']) assert.throws(() => parse_size(bad));
  assert.is(parse_time('10'), 10_000);
  assert.is(parse_time('250ms'), 250);
  assert.is(parse_time('1.5m'), 90_000);
  for (const bad of ['', '0', '5d', '-1s']) assert.throws(() => parse_time(bad));
  assert.is(parse_count('8', 'vCPUs'), 8);
  for (const bad of ['', '1.5', '-1', 'x']) assert.throws(() => parse_count(bad, 'vCPUs'));
  assert.equal(parse_volume('/a/b:/c'), { host: '/a/b', guest: '/c', read_only: false });
  assert.equal(parse_volume('C:\\x:/c:ro'), { host: 'C:\\x', guest: '/c', read_only: true });
  for (const bad of ['/a', '/a:b', ':/a']) assert.throws(() => parse_volume(bad));
});

test.run();
