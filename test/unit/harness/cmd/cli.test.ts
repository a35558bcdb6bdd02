/** The command line of `tvisor-harness`: words, flags, errors and exit statuses. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CommandLine } from '../../../../harness/cmd/command.ts';
import { edit_distance, near } from '../../../../harness/cmd/near.ts';
import { COMMANDS } from '../../../../harness/cmd/registry.ts';
import { parse_program } from '../../../../harness/prog/parse.ts';
import { harness } from '../../../support/harness_cli.ts';
import { KERNEL_TARGET } from '../../../support/programs.ts';

test('help names every command, and each has help with an example', () => {
  const { status, stdout } = harness(['--help']);
  assert.is(status, 0);
  for (const { name, summary } of COMMANDS)
    assert.match(stdout, new RegExp(`^ +${name} +${summary.slice(0, 10)}`, 'm'));
  const help = harness(['gen', '--help']);
  assert.is(help.status, 0);
  assert.match(help.stdout, /--seed/);
  assert.match(help.stdout, /Examples\n +\$ tvisor-harness gen\n/);
  for (const { examples } of COMMANDS) assert.ok(examples.length > 0);
});

test('what cannot be understood ends with 2 and one line with a remedy', () => {
  const cases: [words: string[], message: RegExp][] = [
    [['gne'], /there is no command 'gne'; did you mean gen/],
    [['gen', '--foo'], /unknown flag --foo; see 'tvisor-harness gen --help'/],
    [['gen', '--seed'], /--seed needs a value; write --seed=N/],
    [['gen', '--seed', 'x'], /--seed takes a whole number, 0 or more, not 'x'; write --seed=1/],
    [['gen', '--enable', 'opne'], /--enable opne: there is no such system call; did you mean open/],
    [['gen', '--enable=read', '--disable=read'], /no system call is enabled/],
  ];
  for (const [words, message] of cases) {
    const { status, stdout, stderr } = harness(words);
    assert.is(status, 2, words.join(' '));
    assert.is(stdout, '');
    assert.match(stderr, message);
    assert.match(stderr, /^tvisor-harness: [^\n]*\n$/);
  }
});

test('gen prints programs that can be read back; flags are written in every way', () => {
  const { status, stdout } = harness([
    'gen',
    '-n3',
    '--calls',
    '4',
    '--seed=9',
    '--enable',
    'open*,read',
    '--enable=close',
  ]);
  assert.is(status, 0);
  const texts = stdout.split('\n\n');
  assert.is(texts.length, 3);
  for (const text of texts)
    for (const { description } of parse_program(KERNEL_TARGET, text).calls)
      assert.match(description.name, /^(open|read$|close$)/);
  assert.is(harness(['gen', '-n', '3', '--calls=4', '--seed', '9', '--enable=open*,read,close']).stdout, stdout);
});

test('values of flags', () => {
  const line = new CommandLine(
    'x',
    [],
    new Map([
      ['time', ['1', '90s']],
      ['names', ['a,b', 'c']],
      ['how', ['json']],
    ]),
  );
  assert.is(line.seconds('time', 0), 90);
  assert.equal(line.list('names'), ['a', 'b', 'c']);
  assert.is(line.choice('how', ['text', 'json']), 'json');
  assert.is(line.choice('other', ['text', 'json']), 'text');
  assert.throws(() => line.choice('how', ['text', 'html']), /takes text, html, not 'json'/);
  assert.throws(() => line.argument(0, 'FILE'), /FILE is missing/);
});

test('near names', () => {
  assert.is(edit_distance('kitten', 'sitting'), 3);
  assert.equal(near('opne', ['open', 'close', 'openat']), ['open']);
  assert.equal(near('stat', ['fstat', 'lstat', 'write']), ['fstat', 'lstat']);
});

test.run();
