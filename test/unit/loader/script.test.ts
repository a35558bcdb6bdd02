import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ENOEXEC } from '../../../engine/abi/errno.ts';
import { is_script, parse_script, SCRIPT_WINDOW } from '../../../engine/loader/script.ts';

function window_of(text: string): Uint8Array {
  const bytes = new Uint8Array(SCRIPT_WINDOW);
  bytes.set(new TextEncoder().encode(text).subarray(0, SCRIPT_WINDOW));
  return bytes;
}

function parsed(text: string): [string, string | null] | number {
  const line = parse_script(window_of(text));
  if (typeof line === 'number') return line;
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return [decode(line.interpreter), line.argument === null ? null : decode(line.argument)];
}

test('interpreter and one optional argument', () => {
  assert.ok(is_script(window_of('#!x')));
  assert.not.ok(is_script(window_of('# !x')));
  assert.equal(parsed('#!/bin/sh\n'), ['/bin/sh', null]);
  assert.equal(parsed('#! \t/bin/sh \t \nexit'), ['/bin/sh', null]);
  assert.equal(parsed('#!/usr/bin/env -S a  b \n'), ['/usr/bin/env', '-S a  b']);
  assert.equal(parsed('#!/bin/sh'), ['/bin/sh', null], 'the file may end without a newline');
});

test('an empty line, or a path cut off by the window, is no executable', () => {
  assert.is(parsed('#!\n'), -ENOEXEC);
  assert.is(parsed('#!   \n'), -ENOEXEC);
  assert.equal(parsed('#!'), ['', null], 'opening the empty path then fails');
  assert.is(parsed(`#!${' '.repeat(300)}/bin/sh\n`), -ENOEXEC);
  assert.is(parsed(`#!/${'x'.repeat(300)}\n`), -ENOEXEC);
});

test('an argument cut off by the window is passed as it is', () => {
  const line = parsed(`#!/bin/sh ${'a'.repeat(300)}\n`);
  assert.equal(line, ['/bin/sh', 'a'.repeat(SCRIPT_WINDOW - 1 - '#!/bin/sh '.length)]);
});

test.run();
