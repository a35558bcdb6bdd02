/**
 * System calls of the test kernel's task, made through the dispatcher with arguments in registers and
 * buffers in its address space.
 */
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../engine/abi/mman.ts';
import { assert } from '../../engine/base/assert.ts';
import type { Ptr } from '../../engine/base/types.ts';
import { bytes_read, bytes_write } from '../../engine/heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../../engine/heap/heap_pages.ts';
import { I32, U32 } from '../../engine/heap/memory.ts';
import { current, current_cpu } from '../../engine/kernel/current.ts';
import { commit_state } from '../../engine/kernel/scheduler.ts';
import { TASK_BLOCKED, TASK_STATE_MASK, Task } from '../../engine/kernel/task.layout.ts';
import { do_mmap } from '../../engine/mm/mmap.ts';
import { copy_in, copy_out } from '../../engine/mm/uaccess.ts';
import { enter_syscall, resume_syscall, SYSCALL_BLOCKED } from '../../engine/syscalls/dispatch.ts';
import { syscall_by_name } from '../../engine/syscalls/table.ts';
import { set_args } from './fake_task.ts';
import type { TestKernel } from './kernel.ts';

/** What a call answers when the task sleeps. */
export const ASLEEP = 'asleep';

function outcome(step: () => number): number | typeof ASLEEP {
  while (step() === SYSCALL_BLOCKED) {
    if (commit_state(current, TASK_BLOCKED)) return ASLEEP;
    step = resume_syscall;
  }
  const at = current_cpu >> 2;
  return (I32[at + 1] as number) * 4294967296 + (U32[at] as number);
}

/** Makes a call by name. */
export function call(name: string, ...args: number[]): number | typeof ASLEEP {
  const row = syscall_by_name(name);
  assert(row !== undefined, `no system call ${name}`);
  set_args(current, ...args);
  U32[current_cpu >> 2] = row.number;
  U32[(current_cpu >> 2) + 1] = 0;
  return outcome(enter_syscall);
}

/** Whether the sleeping task has been woken. */
export function is_awake(): boolean {
  return (Task.state.load(current) & TASK_STATE_MASK) !== TASK_BLOCKED;
}

/** Goes on with a call that slept and was woken. */
export function resume(): number | typeof ASLEEP {
  assert(is_awake(), 'resume: the task sleeps');
  return outcome(resume_syscall);
}

/** Fresh user memory. */
export function user_pages(k: TestKernel, pages: number): number {
  const address = do_mmap(
    k.mm,
    0,
    pages * 4096,
    PROT_READ | PROT_WRITE,
    MAP_PRIVATE | MAP_ANONYMOUS,
    0 as Ptr<'File'>,
    0,
  );
  assert(address > 0, 'user_pages: no memory');
  return address;
}

/** Stores text (one character a byte) in user memory. */
export function poke(address: number, text: string): number {
  const page = heap_page_alloc();
  for (let done = 0; done < text.length; done += 4096) {
    const n = bytes_write(page, text.slice(done, done + 4096));
    assert(copy_out(address + done, page, n) === 0, 'poke: fault');
  }
  heap_page_free(page);
  return address;
}

/** Reads text from user memory. */
export function peek(address: number, length: number): string {
  const page = heap_page_alloc();
  let text = '';
  for (let done = 0; done < length; done += 4096) {
    const n = Math.min(4096, length - done);
    assert(copy_in(page, address + done, n) === 0, 'peek: fault');
    text += bytes_read(page, n);
  }
  heap_page_free(page);
  return text;
}

/** 32-bit words as text for `poke`. */
export function words(...values: number[]): string {
  return values.map((v) => String.fromCharCode(v & 255, (v >>> 8) & 255, (v >>> 16) & 255, (v >>> 24) & 255)).join('');
}

/** The 32-bit words in user memory. */
export function peek_words(address: number, count: number): number[] {
  const text = peek(address, count * 4);
  return Array.from({ length: count }, (_, i) =>
    [0, 1, 2, 3].reduce((word, k) => word | (text.charCodeAt(i * 4 + k) << (8 * k)), 0),
  );
}
