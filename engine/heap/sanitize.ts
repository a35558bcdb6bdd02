/**
 * The sanitized heap: finds writes beyond a record, writes to a freed record, and double frees.
 *
 * A cell is `state (16 bytes) | record | red zone (16 bytes)`. While free, the record is poisoned and
 * the cell waits in its class's quarantine, so that a stale pointer meets poison instead of a
 * new owner's data. Checks happen when a cell changes hands; each failure is a kernel panic that
 * names the class and the byte.
 */
import { panic } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import type { LayoutInfo } from './layout.ts';
import { memory_fill, U8, U32 } from './memory.ts';
import { SlabDescriptor } from './slab.layout.ts';

const STATE_BYTES = 16;
const ZONE_BYTES = 16;
/** Bytes a cell is larger than its record. */
export const CELL_OVERHEAD = STATE_BYTES + ZONE_BYTES;
/** Cells of a class that wait before the oldest is reused. */
export const QUARANTINE_CELLS = 64;

/** State words, at cell + 4 (cell + 0 links free lists). A cell fresh from its page has 0. */
const STATE_FRESH = 0;
const STATE_LIVE = 0x4c495645;
const STATE_FREE = 0x46524545;
const ZONE_WORD = 0xa5a5a5a5;
/** As a pointer it is above every machine's memory, as a count it is absurd. */
const POISON_WORD = 0xdbdbdbdb;
/**
 * From this size on one fill costs less than a store for each word: a process's end gives back six KiB of records, and
 * poisoning them was a fifth of it.
 */
const LONG_RECORD = 128;

/** Takes a cell into use: checks that nobody wrote to it while free; returns the record. */
export function sanitized_cell(cell: number, info: LayoutInfo): number {
  const record = cell + STATE_BYTES;
  const state = U32[(cell >> 2) + 1];
  if (state === STATE_FREE) expect_words(record, info.size, POISON_WORD, info, 'written after free');
  else if (state !== STATE_FRESH) report(info, `cell ${cell.toString(16)} on the free list is in state ${state}`);
  U32[(cell >> 2) + 1] = STATE_LIVE;
  fill_words(cell + 8, STATE_BYTES - 8, ZONE_WORD);
  fill_words(record + info.size, ZONE_BYTES, ZONE_WORD);
  return record;
}

/** Checks that nobody wrote to a free cell, whose page is about to leave the class. */
export function check_free_cell(cell: number, info: LayoutInfo): void {
  if (U32[(cell >> 2) + 1] !== STATE_FREE) return;
  expect_words(cell + STATE_BYTES, info.size, POISON_WORD, info, 'written after free');
}

/** Takes a record out of use: checks its red zones and that it is live; poisons it; returns the cell. */
export function unsanitized_record(record: number, info: LayoutInfo): number {
  const cell = record - STATE_BYTES;
  const state = U32[(cell >> 2) + 1];
  if (state === STATE_FREE) report(info, `double free of ${record.toString(16)}`);
  if (state !== STATE_LIVE) report(info, `free of ${record.toString(16)}, which is no record`);
  expect_words(cell + 8, 8, ZONE_WORD, info, 'written before the record');
  expect_words(record + info.size, ZONE_BYTES, ZONE_WORD, info, 'written beyond the record');
  U32[(cell >> 2) + 1] = STATE_FREE;
  if (info.size < LONG_RECORD) fill_words(record, info.size, POISON_WORD);
  else memory_fill(record, POISON_WORD & 0xff, info.size);
  return cell;
}

/** Queues a freed cell; returns the one whose turn for reuse has come, or 0. Under the slab's lock. */
export function quarantine(d: Ptr<'SlabDescriptor'>, cell: number): number {
  U32[cell >> 2] = 0;
  const tail = SlabDescriptor.quarantine_tail.get(d);
  if (tail === 0) SlabDescriptor.quarantine_head.set(d, cell);
  else U32[tail >> 2] = cell;
  SlabDescriptor.quarantine_tail.set(d, cell);
  const count = SlabDescriptor.quarantine_count.get(d) + 1;
  if (count <= QUARANTINE_CELLS) {
    SlabDescriptor.quarantine_count.set(d, count);
    return 0;
  }
  const oldest = SlabDescriptor.quarantine_head.get(d);
  SlabDescriptor.quarantine_head.set(d, U32[oldest >> 2] as number);
  return oldest;
}

/** Records are whole words, 8-byte aligned. Word by word: a fill call costs 30 ns. */
function fill_words(from: number, length: number, word: number): void {
  for (let i = from >> 2, end = (from + length) >> 2; i < end; i++) U32[i] = word;
}

function expect_words(from: number, length: number, word: number, info: LayoutInfo, message: string): void {
  for (let i = from >> 2, end = (from + length) >> 2; i < end; i++)
    if (U32[i] !== word) report_byte(from, i * 4, word & 0xff, info, message);
}

/** Names the byte that is not as it should be, within the word at `at`. */
function report_byte(from: number, at: number, byte: number, info: LayoutInfo, message: string): never {
  let address = at;
  while (U8[address] === byte) address++;
  return report(info, `${message} (at ${address.toString(16)}, offset ${address - from}, byte ${U8[address]})`);
}

function report(info: LayoutInfo, message: string): never {
  return panic(`${info.name}: ${message}`, 'sanitizer', info.name);
}
