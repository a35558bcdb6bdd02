import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, new_instruction } from '../../../engine/x86/decoder.ts';
import { AF, ALL_FLAGS, CF, OF } from '../../../engine/x86/instruction.ts';
import { undefined_flags, undefined_result } from '../../../engine/x86/undefined.ts';

const out = new_instruction();

function load(hex: string): void {
  const bytes = Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16));
  assert.is(decode(bytes, 0, bytes.length, out), bytes.length, hex);
}

test('undefined flags depend on the count of a shift', () => {
  const expected: [string, number, number][] = [
    ['d3 e0', 0, 0], // shl eax, cl
    ['d3 e0', 32, 0],
    ['d3 e0', 1, AF],
    ['d3 e0', 31, AF | OF],
    ['d2 e0', 8, AF | OF | CF],
    ['d2 f8', 8, AF | OF], // sar al, cl
    ['c1 e0 01', 9, AF], // shl eax, 1
    ['d1 e0', 9, AF],
    ['d3 c0', 2, OF], // rol eax, cl
    ['d3 d0', 1, 0], // rcl eax, cl
    ['48 d3 e8', 32, AF | OF], // shr rax, cl
    ['0f a5 d8', 1, AF], // shld eax, ebx, cl
    ['66 0f a5 d8', 17, ALL_FLAGS],
    ['0f bc c1', 0, ALL_FLAGS & ~0x40], // bsf
    ['01 d8', 0, 0],
  ];
  for (const [hex, cl, flags] of expected) {
    load(hex);
    assert.is(undefined_flags(out, cl), flags, `${hex} cl=${cl}`);
  }
});

test('undefined results', () => {
  load('66 0f a5 d8');
  assert.is(undefined_result(out, 16), false);
  assert.is(undefined_result(out, 17), true);
  load('66 0f c8');
  assert.is(undefined_result(out, 0), true);
  load('0f c8');
  assert.is(undefined_result(out, 0), false);
});

test.run();
