/**
 * Messages of local sockets: bytes on their way, with who sent them and what descriptors they carry. Short ones lie
 * in the record, long ones in pages of guest RAM.
 */

import { register_transient } from '../base/transients.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { bytes_copy } from '../heap/bytes.ts';
import { heap_page_free } from '../heap/heap_pages.ts';
import { U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { pid_put } from '../kernel/pid.ts';
import { frame_alloc_uninitialized, frame_put } from '../machine/frames.ts';
import type { IoCursor } from '../machine/io.ts';
import { file_put } from '../vfs/file.ts';
import { INLINE_BYTES, MESSAGE_PAGES, SocketAddress, SocketMessage, UnixSocket } from './socket.layout.ts';

export const socket_messages = slab(SocketMessage);
export const socket_addresses = slab(SocketAddress);
export const unix_sockets = slab(UnixSocket);

const PAGE = 4096;
/** Longest message. */
export const MESSAGE_LIMIT = MESSAGE_PAGES * PAGE;
/** What a message costs beyond its pages (Linux's struct sk_buff and shared info). */
const OVERHEAD = 768;

/** What a message of `length` bytes costs the sender's buffer. */
export function message_charge(length: number): number {
  return length <= INLINE_BYTES ? OVERHEAD : OVERHEAD + Math.ceil(length / PAGE) * PAGE;
}

/** A message of the next `length` bytes of the cursor, or 0 without memory. */
export function message_create(io: IoCursor, length: number): Ptr<'SocketMessage'> {
  const message = socket_messages.alloc();
  if (message === 0) return message;
  const data = SocketMessage.data.at(message);
  SocketMessage.length.set(message, length);
  SocketMessage.charge.set(message, message_charge(length));
  if (length <= INLINE_BYTES) {
    io.drain_to(data, length);
    return message;
  }
  const pages = Math.ceil(length / PAGE);
  for (let i = 0; i < pages; i++) {
    const page = frame_alloc_uninitialized();
    if (page === 0) {
      free_record(message);
      return 0 as Ptr<'SocketMessage'>;
    }
    U32[(data >> 2) + i] = page;
  }
  for (let done = 0; done < length; done += PAGE)
    io.drain_to(U32[(data + (done / PAGE) * 4) >> 2] as number, Math.min(PAGE, length - done));
  return message;
}

/** Copies up to `length` bytes of a message, from byte `offset` on, into the cursor. */
export function message_copy(message: Ptr<'SocketMessage'>, io: IoCursor, offset: number, length: number): void {
  const data = SocketMessage.data.at(message);
  if (SocketMessage.length.get(message) <= INLINE_BYTES) {
    io.fill_from(data + offset, length);
    return;
  }
  for (let done = 0; done < length; ) {
    const at = offset + done;
    const n = Math.min(PAGE - (at % PAGE), length - done);
    io.fill_from((U32[(data >> 2) + Math.floor(at / PAGE)] as number) + (at % PAGE), n);
    done += n;
  }
}

/** Messages that were dropped under the lock; they are freed after it. Empty between system calls. */
let dropped = 0 as Ptr<'SocketMessage'>;
/** The same of references to processes. */
const dropped_pids: Ptr<'Pid'>[] = [];
register_transient(() => {
  dropped = 0 as Ptr<'SocketMessage'>;
  dropped_pids.length = 0;
});

/** Takes a message out of the world; who sent it and its address have been let go of. */
export function message_drop(message: Ptr<'SocketMessage'>): void {
  SocketMessage.next.set(message, dropped);
  dropped = message;
}

/** Gives back a socket's reference to a process, once the lock is released. */
export function pid_drop(pid: Ptr<'Pid'>): void {
  dropped_pids.push(pid);
}

/** Frees what was dropped. Called without locks: a file may be the last of its kind. */
export function dispose_messages(): void {
  if (dropped_pids.length > 0) {
    lock_tasklist();
    for (const pid of dropped_pids) pid_put(pid);
    dropped_pids.length = 0;
    unlock_tasklist();
  }
  while (dropped !== 0) {
    const message = dropped;
    dropped = SocketMessage.next.get(message);
    const files = SocketMessage.files.get(message);
    const count = SocketMessage.file_count.get(message);
    free_record(message);
    if (files !== 0) put_files(files, count);
  }
}

/** Puts the files that a page points to, and frees the page. */
export function put_files(files: number, count: number): void {
  for (let i = 0; i < count; i++) file_put(U32[(files >> 2) + i] as Ptr<'File'>);
  heap_page_free(files);
}

function free_record(message: Ptr<'SocketMessage'>): void {
  const length = SocketMessage.length.get(message);
  const slots = SocketMessage.data.at(message) >> 2;
  if (length > INLINE_BYTES)
    for (let i = 0; i < Math.ceil(length / PAGE); i++) {
      const page = U32[slots + i] as number;
      if (page !== 0) frame_put(page as FrameAddr);
    }
  socket_messages.free(message);
}

/** An address with one reference out of `length` bytes of path at machine address `path`; 0 without memory. */
export function address_create(path: number, length: number): Ptr<'SocketAddress'> {
  const address = socket_addresses.alloc();
  if (address === 0) return address;
  SocketAddress.refs.set(address, 1);
  SocketAddress.length.set(address, length + 2);
  bytes_copy(SocketAddress.path.at(address), path, length);
  return address;
}

/** One more holder, under the lock; null stays null. */
export function address_get(address: Ptr<'SocketAddress'>): Ptr<'SocketAddress'> {
  if (address !== 0) SocketAddress.refs.set(address, SocketAddress.refs.get(address) + 1);
  return address;
}

/** One holder less, under the lock. */
export function address_put(address: Ptr<'SocketAddress'>): void {
  if (address === 0) return;
  const refs = SocketAddress.refs.get(address) - 1;
  SocketAddress.refs.set(address, refs);
  if (refs === 0) socket_addresses.free(address);
}
