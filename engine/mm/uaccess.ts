// @hot
/**
 * User access: the kernel's reads and writes of guest memory, on the active address space (active.ts).
 *
 * A guest address is an allegation: each page is resolved through the page table, faulted in if need be,
 * and -EFAULT is the answer where that fails (also for a bus error or for lack of memory, as in Linux).
 * The address stays good until the vCPU's next safe point. Never call these with a lock held.
 *
 * Writes by a vCPU whose address space has other users pin the frame for their duration (machine/pins.ts).
 * Writes to frames with decoded code invalidate it.
 */

import { EFAULT, ENAMETOOLONG } from '../abi/errno.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { bytes_copy, bytes_zero } from '../heap/bytes.ts';
import { fault_now, faults_countdown } from '../heap/fault_injection.ts';
import { I32, U8, U16, U32 } from '../heap/memory.ts';
import { code_frame_changed } from '../machine/code_events.ts';
import { FRAME_CODE, FrameInfo } from '../machine/frame.layout.ts';
import { frame_info } from '../machine/frames.ts';
import type { IoCursor } from '../machine/io.ts';
import { PTE_PRESENT, PTE_WRITE, TASK_SIZE } from '../machine/page_table.layout.ts';
import { pte_slot } from '../machine/page_table.ts';
import { pin_frame, unpin_all, unpin_last } from '../machine/pins.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../machine/vcpu.layout.ts';
import { active_mm, active_root, use_mm } from './active.ts';
import { mm_fault } from './fault.ts';
import { Mm } from './mm.layout.ts';

const TWO_32 = 4294967296;
/** What signed readers return for -EFAULT: outside every signed 64-bit value's range of exact use. */
export const USER_FAULT = -(2 ** 62);

/** Bytes up to which a loop is quicker than a call: between views of machine memory, and from a JavaScript array. */
const COPY_LOOP_MAX = 4;
const SET_LOOP_MAX = 32;

/** Machine address behind a readable user address, or -EFAULT. */
export function user_read_address(uaddr: number): number {
  if (!(uaddr >= 0 && uaddr < TASK_SIZE) || active_mm === 0) return -EFAULT;
  if (faults_countdown !== 0 && fault_now()) return -EFAULT;
  for (;;) {
    const slot = pte_slot(active_root, uaddr);
    const entry = slot === 0 ? 0 : (U32[slot] as number);
    if ((entry & PTE_PRESENT) !== 0) return ((entry & ~0xfff) >>> 0) + (uaddr & 0xfff);
    if (mm_fault(active_mm, uaddr, ACCESS_READ) !== 0) return -EFAULT;
  }
}

/** Whether the last `user_write_address` took a pin. */
let write_pinned = false;

/** Machine address behind a writable user address, or -EFAULT. The frame is pinned if others share the Mm. */
function user_write_address(uaddr: number): number {
  if (!(uaddr >= 0 && uaddr < TASK_SIZE) || active_mm === 0) return -EFAULT;
  if (faults_countdown !== 0 && fault_now()) return -EFAULT;
  write_pinned = is_shared();
  for (;;) {
    const slot = pte_slot(active_root, uaddr);
    const entry = slot === 0 ? 0 : (U32[slot] as number);
    if ((entry & (PTE_PRESENT | PTE_WRITE)) === (PTE_PRESENT | PTE_WRITE)) {
      const frame = ((entry & ~0xfff) >>> 0) as FrameAddr;
      if (!write_pinned || pin_entry(frame, slot, entry)) {
        if ((FrameInfo.flags.load(frame_info(frame)) & FRAME_CODE) !== 0) code_frame_changed(frame);
        return frame + (uaddr & 0xfff);
      }
    } else if (mm_fault(active_mm, uaddr, ACCESS_WRITE) !== 0) return -EFAULT;
  }
}

function is_shared(): boolean {
  return (I32[Mm.refs.index(active_mm)] as number) > 1;
}

/** Pins the frame, unless the entry changed in between: a fork that did not see the pin changed it. */
function pin_entry(frame: FrameAddr, slot: number, entry: number): boolean {
  if (!pin_frame(frame)) {
    unpin_all();
    pin_frame(frame);
  }
  if (Atomics.load(U32, slot) === entry) return true;
  unpin_last();
  return false;
}

/** Ends the write that the last `user_write_address` began. */
function end_write(): void {
  if (write_pinned) unpin_last();
}

function copy_bytes(target: number, source: number, length: number): void {
  if (length > COPY_LOOP_MAX) bytes_copy(target, source, length);
  else for (let i = 0; i < length; i++) U8[target + i] = U8[source + i] as number;
}

/** Copies user bytes to kernel memory; 0 or -EFAULT (what could be read has then been copied). */
export function copy_in(target: number, uaddr: number, length: number): number {
  while (length > 0) {
    const at = user_read_address(uaddr);
    if (at < 0) return at;
    const n = Math.min(length, 4096 - (at & 0xfff));
    copy_bytes(target, at, n);
    target += n;
    uaddr += n;
    length -= n;
  }
  return 0;
}

/** Whether a range lies where user memory may be, mapped or not (Linux's access_ok): also asked of no bytes. */
export function user_range(uaddr: number, length: number): boolean {
  return uaddr >= 0 && uaddr + length <= TASK_SIZE;
}

/** Copies kernel memory to user memory; 0 or -EFAULT (what could be written has then been written). */
export function copy_out(uaddr: number, source: number, length: number): number {
  while (length > 0) {
    const at = user_write_address(uaddr);
    if (at < 0) return at;
    const n = Math.min(length, 4096 - (at & 0xfff));
    copy_bytes(at, source, n);
    end_write();
    source += n;
    uaddr += n;
    length -= n;
  }
  return 0;
}

/** Copies bytes of JavaScript's to user memory; 0 or -EFAULT (what could be written has then been written). */
export function copy_out_bytes(uaddr: number, bytes: Uint8Array): number {
  for (let done = 0; done < bytes.length; ) {
    const at = user_write_address(uaddr + done);
    if (at < 0) return at;
    const n = Math.min(bytes.length - done, 4096 - (at & 0xfff));
    if (n > SET_LOOP_MAX) U8.set(bytes.subarray(done, done + n), at);
    else for (let i = 0; i < n; i++) U8[at + i] = bytes[done + i] as number;
    end_write();
    done += n;
  }
  return 0;
}

/** Fills user memory with zeros; 0 or -EFAULT. */
export function clear_user(uaddr: number, length: number): number {
  while (length > 0) {
    const at = user_write_address(uaddr);
    if (at < 0) return at;
    const n = Math.min(length, 4096 - (at & 0xfff));
    bytes_zero(at, n);
    end_write();
    uaddr += n;
    length -= n;
  }
  return 0;
}

/**
 * Copies a NUL-terminated user string to kernel memory. Returns its length without the NUL, -EFAULT, or
 * -ENAMETOOLONG when no NUL came within `max` bytes (the NUL included).
 */
export function copy_in_string(uaddr: number, target: number, max: number): number {
  let done = 0;
  while (done < max) {
    const at = user_read_address(uaddr + done);
    if (at < 0) return at;
    const n = Math.min(max - done, 4096 - (at & 0xfff));
    for (let i = 0; i < n; i++) {
      const byte = U8[at + i] as number;
      U8[target + done + i] = byte;
      if (byte === 0) return done + i;
    }
    done += n;
  }
  return -ENAMETOOLONG;
}

/** Reads a value that may cross a page, byte by byte. */
function get_slow(uaddr: number, size: number): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < size; i++) {
    const at = user_read_address(uaddr + i);
    if (at < 0) return at;
    value += (U8[at] as number) * scale;
    scale *= 256;
  }
  return value;
}

function put_slow(uaddr: number, low: number, high: number, size: number): number {
  // Both pages first: a value is written whole or not at all.
  const last = user_write_address(uaddr + size - 1);
  if (last < 0) return last;
  end_write();
  for (let i = 0; i < size; i++) {
    const at = user_write_address(uaddr + i);
    if (at < 0) return at;
    U8[at] = i < 4 ? low >>> (i * 8) : high >>> ((i - 4) * 8);
    end_write();
  }
  return 0;
}

/** Reads an unsigned byte; -EFAULT. */
export function get_user_u8(uaddr: number): number {
  const at = user_read_address(uaddr);
  return at < 0 ? at : (U8[at] as number);
}

/** Reads an unsigned 16-bit value; -EFAULT. */
export function get_user_u16(uaddr: number): number {
  if ((uaddr & 1) !== 0) return get_slow(uaddr, 2);
  const at = user_read_address(uaddr);
  return at < 0 ? at : (U16[at >>> 1] as number);
}

/** Reads an unsigned 32-bit value; -EFAULT. */
export function get_user_u32(uaddr: number): number {
  if ((uaddr & 3) !== 0) return get_slow(uaddr, 4);
  const at = user_read_address(uaddr);
  return at < 0 ? at : (U32[at >>> 2] as number);
}

/** Reads a signed 32-bit value; USER_FAULT for -EFAULT. */
export function get_user_i32(uaddr: number): number {
  const value = get_user_u32(uaddr);
  return value < 0 ? USER_FAULT : value | 0;
}

/** Reads an unsigned 64-bit value (inexact from 2^53 on); -EFAULT. */
export function get_user_u64(uaddr: number): number {
  if ((uaddr & 7) !== 0) {
    const low = get_slow(uaddr, 4);
    if (low < 0) return low;
    const high = get_slow(uaddr + 4, 4);
    return high < 0 ? high : high * TWO_32 + low;
  }
  const at = user_read_address(uaddr);
  return at < 0 ? at : (U32[(at >>> 2) + 1] as number) * TWO_32 + (U32[at >>> 2] as number);
}

/** Reads a signed 64-bit value (inexact outside +-2^53); USER_FAULT for -EFAULT. */
export function get_user_i64(uaddr: number): number {
  const low = get_user_u32(uaddr);
  if (low < 0) return USER_FAULT;
  const high = get_user_u32(uaddr + 4);
  return high < 0 ? USER_FAULT : (high | 0) * TWO_32 + low;
}

/** Writes a byte; 0 or -EFAULT. */
export function put_user_u8(uaddr: number, value: number): number {
  return put_slow(uaddr, value, 0, 1);
}

/** Writes a 16-bit value; 0 or -EFAULT. */
export function put_user_u16(uaddr: number, value: number): number {
  return put_slow(uaddr, value, 0, 2);
}

/** Writes a 32-bit value, signed or unsigned; 0 or -EFAULT. */
export function put_user_u32(uaddr: number, value: number): number {
  if ((uaddr & 3) !== 0) return put_slow(uaddr, value, 0, 4);
  const at = user_write_address(uaddr);
  if (at < 0) return at;
  U32[at >>> 2] = value;
  end_write();
  return 0;
}

/** Writes an integer of +-2^53 as 64 bits, negative ones in two's complement; 0 or -EFAULT. */
export function put_user_u64(uaddr: number, value: number): number {
  return put_user_parts(uaddr, value, Math.floor(value / TWO_32));
}

/** Writes 64 bits given as halves, each cut to 32 bits; 0 or -EFAULT. */
export function put_user_parts(uaddr: number, low: number, high: number): number {
  if ((uaddr & 7) !== 0) return put_slow(uaddr, low, high, 8);
  const at = user_write_address(uaddr);
  if (at < 0) return at;
  U32[at >>> 2] = low;
  U32[(at >>> 2) + 1] = high;
  end_write();
  return 0;
}

/**
 * Machine address of an aligned user word for Atomics (futex operations), or -EFAULT. For writing, the
 * frame stays pinned until the safe point.
 */
export function user_atomic_address(uaddr: number, write: boolean): number {
  return write ? user_write_address(uaddr) : user_read_address(uaddr);
}

/**
 * Appends a user buffer to the cursor, page by page: the bytes appended, fewer than `length` when the
 * cursor is full or a later page faults, -EFAULT when not even the first is accessible. `write`: the
 * kernel will write to it (read(2)). An empty cursor starts a new set of pins.
 */
export function pin(io: IoCursor, uaddr: number, length: number, write: boolean): number {
  if (write && io.empty()) unpin_all();
  let done = 0;
  while (done < length && !io.full()) {
    const at = write ? user_write_address(uaddr + done) : user_read_address(uaddr + done);
    if (at < 0) return done > 0 ? done : at;
    const n = Math.min(length - done, 4096 - (at & 0xfff));
    io.push(at, n);
    done += n;
  }
  return done;
}

/** Runs on another address space, of which the caller holds a reference: copy_in of process_vm_readv and ptrace. */
export function copy_in_mm(mm: Ptr<'Mm'>, target: number, uaddr: number, length: number): number {
  const before = use_mm(mm);
  const result = copy_in(target, uaddr, length);
  use_mm(before);
  return result;
}

/** As `copy_out`, on another address space. */
export function copy_out_mm(mm: Ptr<'Mm'>, uaddr: number, source: number, length: number): number {
  const before = use_mm(mm);
  const result = copy_out(uaddr, source, length);
  use_mm(before);
  return result;
}

/** As `clear_user`, on another address space. */
export function clear_user_mm(mm: Ptr<'Mm'>, uaddr: number, length: number): number {
  const before = use_mm(mm);
  const result = clear_user(uaddr, length);
  use_mm(before);
  return result;
}

/** As `copy_in_string`, on another address space. */
export function copy_in_string_mm(mm: Ptr<'Mm'>, uaddr: number, target: number, max: number): number {
  const before = use_mm(mm);
  const result = copy_in_string(uaddr, target, max);
  use_mm(before);
  return result;
}

/** As `pin`, on another address space. */
export function pin_mm(mm: Ptr<'Mm'>, io: IoCursor, uaddr: number, length: number, write: boolean): number {
  const before = use_mm(mm);
  const result = pin(io, uaddr, length, write);
  use_mm(before);
  return result;
}
