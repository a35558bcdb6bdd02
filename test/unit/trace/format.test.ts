import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Argument, parse_argument } from '../../../engine/syscalls/args_spec.ts';
import type { ArgumentSpec } from '../../../engine/syscalls/row.ts';
import { format_argument, format_result, type TraceSource } from '../../../engine/trace/format.ts';

/** Arguments as given; guest memory holds `text` at 0x1000. */
function source(args: readonly number[], text = ''): TraceSource {
  const bytes = new TextEncoder().encode(text);
  return {
    lo: (n) => (args[n] ?? 0) >>> 0,
    hi: (n) => Math.floor((args[n] ?? 0) / 4294967296) >>> 0,
    byte: (address) => bytes[address - 0x1000] ?? -1,
  };
}

function shown(spec: ArgumentSpec, args: readonly number[], text = '', result = -1): string {
  const argument: Argument = parse_argument(spec);
  return format_argument(argument, 0, source(args, text), result);
}

test('numbers', () => {
  assert.is(shown('a:int', [-5]), '-5');
  assert.is(shown('a:size', [7]), '7');
  assert.is(shown('a:off', [-1]), '-1');
  assert.is(shown('a:dirfd', [-100]), 'AT_FDCWD');
  assert.is(shown('a:mode', [0o644]), '0644');
  assert.is(shown('a:signal', [11]), 'SIGSEGV');
  assert.is(shown('a:ptr', [0]), 'NULL');
  assert.is(shown('a:ptr', [0x7fff_1234_5678]), '0x7fff12345678');
});

test('strings and buffers', () => {
  assert.is(shown('a:path', [0x1000], '/etc/x"\n\0rest'), '"/etc/x\\"\\n"');
  assert.is(shown('a:path', [0x1000], 'unterminated'), '0x1000');
  assert.is(shown('a:path', [8]), '0x8');
  assert.is(shown('a:in(1)', [0x1000, 3], 'abcdef'), '"abc"');
  assert.is(shown('a:in(1)', [0x1000, 40], 'a'.repeat(40)), `"${'a'.repeat(32)}"...`);
  assert.is(shown('a:out(1)', [0x1000, 100], 'abcdef', 2), '"ab"');
  assert.is(shown('a:out(1)', [0x1000, 100], 'abcdef', -14), '0x1000');
});

test('flags and enums', () => {
  assert.is(shown('a:flags(open)', [0o2000100]), 'O_RDONLY|O_CREAT|O_CLOEXEC');
  assert.is(shown('a:flags(prot)', [0]), '0');
  assert.is(shown('a:flags(prot)', [0x13]), 'PROT_READ|PROT_WRITE|0x10');
  assert.is(shown('a:flags(unknown)', [0x10]), '0x10');
  assert.is(shown('a:enum(whence)', [2]), 'SEEK_END');
  assert.is(shown('a:enum(whence)', [9]), '9');
});

test('results', () => {
  assert.is(format_result(3, false), '3');
  assert.is(format_result(-2, false), '-1 ENOENT');
  assert.is(format_result(0x1000, true), '0x1000');
  assert.is(format_result(-512, false), '? (to be restarted, 512)');
});

test.run();
