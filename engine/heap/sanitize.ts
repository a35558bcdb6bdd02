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
import { U8, U32 } from './memory.ts';
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
const ZONE_BYTE = 0xa5;
/** As a pointer it is above every machine's memory, as a count it is absurd. */
const POISON_BYTE = 0xdb;

/** Takes a cell into use: checks that nobody wrote to it while free; returns the record. */
export function sanitized_cell(cell: number, info: LayoutInfo): number {
  const record = cell + STATE_BYTES;
  const state = U32[(cell >> 2) + 1];
  if (state === STATE_FREE) expect_bytes(record, info.size, POISON_BYTE, info, 'written after free');
  else if (state !== STATE_FRESH) report(info, `cell ${cell.toString(16)} on the free list is in state ${state}`);
  U32[(cell >> 2) + 1] = STATE_LIVE;
  U8.fill(ZONE_BYTE, cell + 8, record);
  U8.fill(ZONE_BYTE, record + info.size, record + info.size + ZONE_BYTES);
  return record;
}

/** Checks that nobody wrote to a free cell, whose page is about to leave the class. */
export function check_free_cell(cell: number, info: LayoutInfo): void {
  if (U32[(cell >> 2) + 1] !== STATE_FREE) return;
  expect_bytes(cell + STATE_BYTES, info.size, POISON_BYTE, info, 'written after free');
}

/** Takes a record out of use: checks its red zones and that it is live; poisons it; returns the cell. */
export function unsanitized_record(record: number, info: LayoutInfo): number {
  const cell = record - STATE_BYTES;
  const state = U32[(cell >> 2) + 1];
  if (state === STATE_FREE) report(info, `double free of ${record.toString(16)}`);
  if (state !== STATE_LIVE) report(info, `free of ${record.toString(16)}, which is no record`);
  expect_bytes(cell + 8, 8, ZONE_BYTE, info, 'written before the record');
  expect_bytes(record + info.size, ZONE_BYTES, ZONE_BYTE, info, 'written beyond the record');
  U32[(cell >> 2) + 1] = STATE_FREE;
  U8.fill(POISON_BYTE, record, record + info.size);
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

function expect_bytes(from: number, length: number, byte: number, info: LayoutInfo, message: string): void {
  for (let i = 0; i < length; i++)
    if (U8[from + i] !== byte)
      report(info, `${message} (at ${(from + i).toString(16)}, offset ${i}, byte ${U8[from + i]})`);
}

function report(info: LayoutInfo, message: string): never {
  return panic(`${info.name}: ${message}`, 'sanitizer', info.name);
}
