/**
 * System V message queues (msgget(2), msgop(2); Linux ipc/msg.c). A message is copied in before the queue is looked
 * at, and out after it was taken off.
 */

import { E2BIG, EFAULT, ENOMEM, ENOMSG } from '../../abi/errno.ts';
import { MSG_COPY, MSG_EXCEPT, MSG_NOERROR, MSGMNB } from '../../abi/ipc.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_copy } from '../../heap/bytes.ts';
import { heap_has_room, heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { U32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { copy_in, copy_out } from '../../mm/uaccess.ts';
import { current } from '../current.ts';
import { Task } from '../task.layout.ts';
import { ThreadGroup } from '../thread_group.layout.ts';
import { ipc_add, ipc_own, ipc_remove, ipc_root, ipc_seconds, ipc_wake, lock_ipc, unlock_ipc } from './ids.ts';
import { IPC_MSG, IpcRoot, MESSAGE_INLINE, Message, MsgQueue } from './ipc.layout.ts';

type Q = Ptr<'MsgQueue'>;
type M = Ptr<'Message'>;

export const msg_queues = slab(MsgQueue);
export const messages = slab(Message);

/** Makes a queue: its identifier, -ENOSPC, -ENOMEM. Under the lock. */
export function msg_make(key: number, flags: number): number {
  const queue = msg_queues.alloc();
  if (queue === 0) return -ENOMEM;
  const id = ipc_add(IPC_MSG, MsgQueue.object.at(queue), key, flags);
  if (id < 0) msg_queues.free(queue);
  else MsgQueue.capacity.set(queue, MSGMNB);
  return id;
}

function count_messages(count: number, bytes: number): void {
  const root = ipc_root();
  IpcRoot.messages.set(root, IpcRoot.messages.get(root) + count);
  IpcRoot.message_bytes.set(root, IpcRoot.message_bytes.get(root) + bytes);
}

/** IPC_RMID: the messages are lost, waiting tasks get EIDRM. 0 or -errno. */
export function msg_destroy(id: number): number {
  lock_ipc();
  const found = ipc_own(IPC_MSG, id);
  if (found >= 0) {
    const queue = found as Q;
    count_messages(-MsgQueue.count.get(queue), -MsgQueue.bytes.get(queue));
    for (let message = MsgQueue.first.get(queue); message !== 0; ) {
      const next = Message.next.get(message);
      message_free(message);
      message = next;
    }
    ipc_remove(IPC_MSG, MsgQueue.object.at(queue));
    msg_queues.free(queue);
  }
  unlock_ipc();
  if (found >= 0) ipc_wake(id);
  return Math.min(found, 0);
}

function page_slot(message: M, i: number): number {
  return (Message.pages.at(message) >> 2) + i;
}

/** Gives a message that is in no queue back. */
export function message_free(message: M): void {
  for (let i = 0; i < 2; i++) {
    const page = U32[page_slot(message, i)] as number;
    if (page !== 0) heap_page_free(page);
  }
  messages.free(message);
}

/** Copies a message's text from or to user memory: 0 or -EFAULT. */
function copy_text(message: M, uaddr: number, length: number, out: boolean): number {
  const inline = Message.length.get(message) <= MESSAGE_INLINE;
  for (let done = 0; done < length; ) {
    const n = Math.min(4096, length - done);
    const at = inline ? Message.text.at(message) : (U32[page_slot(message, done / 4096)] as number);
    if ((out ? copy_out(uaddr + done, at, n) : copy_in(at, uaddr + done, n)) < 0) return -EFAULT;
    done += n;
  }
  return 0;
}

/** A message with the `length` bytes (at most MSGMAX) at `uaddr`, or -ENOMEM, -EFAULT. */
export function message_create(type_lo: number, type_hi: number, uaddr: number, length: number): number {
  const message = heap_has_room() ? messages.alloc() : (0 as M);
  if (message === 0) return -ENOMEM;
  Message.type.set_parts(message, type_lo, type_hi);
  Message.length.set(message, length);
  let result = 0;
  for (let i = 0; length > MESSAGE_INLINE && i < Math.ceil(length / 4096) && result === 0; i++) {
    const page = heap_page_alloc();
    if (page === 0) result = -ENOMEM;
    U32[page_slot(message, i)] = page;
  }
  if (result === 0) result = copy_text(message, uaddr, length, false);
  if (result === 0) return message;
  message_free(message);
  return result;
}

/** Copies up to `length` bytes of a message's text to user memory: how many, or -EFAULT. */
export function message_read(message: M, uaddr: number, length: number): number {
  const n = Math.min(length, Message.length.get(message));
  return copy_text(message, uaddr, n, true) < 0 ? -EFAULT : n;
}

/** Whether a message of `length` bytes may be appended now. Under the lock. */
export function msg_fits(queue: Q, length: number): boolean {
  const capacity = MsgQueue.capacity.get(queue);
  return MsgQueue.bytes.get(queue) + length <= capacity && MsgQueue.count.get(queue) + 1 <= capacity;
}

/** Appends a message. Under the lock. */
export function msg_append(queue: Q, message: M): void {
  const last = MsgQueue.last.get(queue);
  if (last === 0) MsgQueue.first.set(queue, message);
  else Message.next.set(last, message);
  MsgQueue.last.set(queue, message);
  MsgQueue.bytes.set(queue, MsgQueue.bytes.get(queue) + Message.length.get(message));
  MsgQueue.count.set(queue, MsgQueue.count.get(queue) + 1);
  count_messages(1, Message.length.get(message));
  MsgQueue.stime.set(queue, ipc_seconds());
  MsgQueue.last_sender.set(queue, ThreadGroup.tgid.get(Task.group.get(current)));
}

function type_of(message: M): number {
  return Message.type.hi(message) * 2 ** 32 + Message.type.lo(message);
}

/** The message that msgrcv's type and flags choose, and the one before it; 0 when there is none. Under the lock. */
function choose(queue: Q, type: number, flags: number): { message: M; before: M } {
  const chosen = { message: 0 as M, before: 0 as M };
  let before = 0 as M;
  let position = 0;
  let lowest = -type + 1;
  for (let message = MsgQueue.first.get(queue); message !== 0; message = Message.next.get(message)) {
    const its = type_of(message);
    let matches: boolean;
    if ((flags & MSG_COPY) !== 0) matches = position++ === type;
    else if (type < 0) matches = its < lowest;
    else matches = type === 0 || (its === type) !== ((flags & MSG_EXCEPT) !== 0);
    if (matches) {
      chosen.message = message;
      chosen.before = before;
      if (type >= 0) break;
      lowest = its;
    }
    before = message;
  }
  return chosen;
}

/** A second message with the same text, or -ENOMEM. */
function copy_of(message: M): number {
  const copy = messages.alloc();
  if (copy === 0) return -ENOMEM;
  Message.type.set_parts(copy, Message.type.lo(message), Message.type.hi(message));
  Message.length.set(copy, Message.length.get(message));
  bytes_copy(Message.text.at(copy), Message.text.at(message), MESSAGE_INLINE);
  for (let i = 0; i < 2; i++) {
    const page = U32[page_slot(message, i)] as number;
    if (page === 0) continue;
    const target = heap_page_alloc();
    if (target === 0) {
      message_free(copy);
      return -ENOMEM;
    }
    U32[page_slot(copy, i)] = target;
    bytes_copy(target, page, 4096);
  }
  return copy;
}

/**
 * Takes the message that msgrcv asks for off the queue: the message, -ENOMSG when there is none now, -E2BIG when it is
 * longer than `length`. With MSG_COPY a copy of it, which may be -ENOMEM. Under the lock.
 */
export function msg_take(queue: Q, type: number, length: number, flags: number): number {
  const { message, before } = choose(queue, type, flags);
  if (message === 0) return -ENOMSG;
  if (Message.length.get(message) > length && (flags & MSG_NOERROR) === 0) return -E2BIG;
  if ((flags & MSG_COPY) !== 0) return copy_of(message);
  const next = Message.next.get(message);
  if (before === 0) MsgQueue.first.set(queue, next);
  else Message.next.set(before, next);
  if (next === 0) MsgQueue.last.set(queue, before);
  MsgQueue.bytes.set(queue, MsgQueue.bytes.get(queue) - Message.length.get(message));
  MsgQueue.count.set(queue, MsgQueue.count.get(queue) - 1);
  count_messages(-1, -Message.length.get(message));
  MsgQueue.rtime.set(queue, ipc_seconds());
  MsgQueue.last_receiver.set(queue, ThreadGroup.tgid.get(Task.group.get(current)));
  return message;
}
