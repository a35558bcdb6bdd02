/** The page on which programs find the wall clock. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { U32 } from '../../../engine/heap/memory.ts';
import { frame_alloc } from '../../../engine/machine/frames.ts';
import {
  advance_virtual,
  publish_wall_clock,
  set_wall_clock,
  VIRTUAL_EPOCH_SECONDS,
} from '../../../engine/time/clock.ts';
import { VVAR_NANOSECONDS, VVAR_SECONDS, VVAR_SEQUENCE } from '../../../engine/time/time.layout.ts';
import { script_machine } from '../../support/script.ts';

function word(page: number, field: number): number {
  return U32[(page + field) >>> 2] as number;
}

test('the page follows the wall clock; the sequence is even and rises', () => {
  script_machine();
  const page = frame_alloc();
  publish_wall_clock(page);
  assert.is(word(page, VVAR_SECONDS), VIRTUAL_EPOCH_SECONDS);
  assert.is(word(page, VVAR_NANOSECONDS), 0);
  const first = word(page, VVAR_SEQUENCE);
  assert.is(first % 2, 0);
  advance_virtual(1_500_000_000);
  set_wall_clock(2_000_000_000, 250_000_000);
  assert.is(word(page, VVAR_SECONDS), 1_999_999_998);
  assert.is(word(page, VVAR_NANOSECONDS), 750_000_000);
  assert.is(word(page, VVAR_SEQUENCE), first + 2);
});

test('seconds before 1970 are negative', () => {
  script_machine();
  const page = frame_alloc();
  publish_wall_clock(page);
  advance_virtual(3_000_000_000);
  set_wall_clock(0, 0);
  assert.is(word(page, VVAR_SECONDS) | 0, -3);
  assert.is(word(page, VVAR_SECONDS + 4) | 0, -1);
  assert.is(word(page, VVAR_NANOSECONDS), 0);
});

test.run();
