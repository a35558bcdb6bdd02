/** What a sleeping call keeps of its arguments: used instead of user memory, and gone however the call ends. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EFAULT, ENOMEM, ERESTARTSYS } from '../../../engine/abi/errno.ts';
import { POLLIN } from '../../../engine/abi/poll.ts';
import { SIGUSR1 } from '../../../engine/abi/signal.ts';
import { set_faults } from '../../../engine/heap/fault_injection.ts';
import { heap_pages_used } from '../../../engine/heap/heap_pages.ts';
import { U8 } from '../../../engine/heap/memory.ts';
import { wait_entries } from '../../../engine/heap/wait_queue.ts';
import {
  KEPT_POLL,
  KEPT_SETS,
  keep_bytes,
  kept_arguments,
  kept_at,
  kept_piece,
  next_piece,
  PIECE_BYTES,
  recall_bytes,
  release_arguments,
} from '../../../engine/kernel/call_arguments.ts';
import { files_lookup } from '../../../engine/kernel/fd_table.ts';
import { messages } from '../../../engine/kernel/ipc/msg.ts';
import { siginfo_kernel } from '../../../engine/kernel/siginfo.ts';
import { send_to_task } from '../../../engine/kernel/signal.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { file_put } from '../../../engine/vfs/file.ts';
import { ASLEEP, call, peek, peek_words, poke, resume, user_pages, words } from '../../support/calls.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

let k: TestKernel;
let at = 0;

function setup(): void {
  k = test_kernel();
  at = user_pages(k, 16);
}

function pipe(): [number, number] {
  assert.is(call('pipe', at), 0);
  return peek_words(at, 2) as [number, number];
}

/** A struct iovec. */
function buffer(address: number, length: number): string {
  return words(address % 2 ** 32, Math.floor(address / 2 ** 32), length, 0);
}

function write_to(fd: number, text: string): void {
  const file = files_lookup(k.files, fd);
  k.space.write(file, -1, text);
  file_put(file);
}

function nothing_kept(): void {
  assert.is(Task.kept_arguments.get(k.task), 0);
  assert.is(Task.call_leftovers.get(k.task), 0);
  assert.is(kept_arguments.live(), 0);
  assert.is(wait_entries.live(), 0);
}

test('arguments of any length are kept in pieces and come back', () => {
  setup();
  const pages = heap_pages_used();
  for (const length of [0, 1, 64, 65, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES]) {
    const bytes = Uint8Array.from({ length: length + 3 }, (_, i) => i * 7);
    assert.ok(keep_bytes(KEPT_POLL, bytes, 3, length));
    assert.ok(keep_bytes(KEPT_SETS, bytes, 0, 3));
    const got = new Uint8Array(length + 1);
    assert.is(recall_bytes(KEPT_POLL, got, 1), length);
    assert.equal(got.subarray(1), bytes.subarray(3));
    let pieces = 0;
    for (let piece = kept_piece(KEPT_POLL); piece !== 0; piece = next_piece(piece)) pieces++;
    assert.is(pieces, Math.max(1, Math.ceil(length / PIECE_BYTES)));
    assert.equal([...U8.subarray(kept_at(KEPT_SETS), kept_at(KEPT_SETS) + 3)], [0, 7, 14]);
    release_arguments();
    assert.is(kept_at(KEPT_POLL), 0);
    assert.is(recall_bytes(KEPT_POLL, got, 0), -1);
    assert.is(kept_arguments.live(), 0);
  }
  assert.is(heap_pages_used(), pages + 1, 'one page of the class stays');
});

test('a call that does not sleep keeps nothing', () => {
  setup();
  const [input, output] = pipe();
  poke(at, buffer(at + 64, 4));
  poke(at + 64, 'text');
  assert.is(call('writev', output, at, 1), 4);
  assert.is(kept_arguments.live(), 0);
  assert.is(call('readv', input, at, 1), 4);
  poke(at, words(input, POLLIN));
  assert.is(call('poll', at, 1, 0), 0);
  nothing_kept();
});

test('a call keeps its own arguments, not the vector of one before it', () => {
  setup();
  const [input, output] = pipe();
  const [, other] = pipe();
  poke(at, buffer(at + 64, 4));
  assert.is(call('writev', other, at, 1), 4);
  assert.is(call('splice', input, 0, other, 0, 4, 0), ASLEEP);
  assert.is(kept_arguments.live(), 0);
  write_to(output, 'text');
  assert.is(resume(), 4);
  nothing_kept();
});

test('a signal ends what is kept, and the restarted call reads anew', () => {
  setup();
  const [input, output] = pipe();
  poke(at, buffer(at + 64, 4));
  assert.is(call('readv', input, at, 1), ASLEEP);
  assert.is(kept_arguments.live(), 1);
  poke(at, buffer(at + 128, 2));
  send_to_task(k.task, SIGUSR1, siginfo_kernel(SIGUSR1));
  assert.is(resume(), -ERESTARTSYS);
  nothing_kept();
  write_to(output, 'text');
  assert.is(call('readv', input, at, 1), 2);
  assert.is(peek(at + 128, 2), 'te');
});

test('a message that waits is freed when its sender is interrupted', () => {
  setup();
  const id = call('msgget', 0, 0o600) as number;
  poke(at, words(1, 0));
  for (let i = 0; i < 2; i++) assert.is(call('msgsnd', id, at, 8192, 0), 0);
  assert.is(messages.live(), 2);
  assert.is(call('msgsnd', id, at, 8192, 0), ASLEEP);
  assert.is(messages.live(), 3);
  send_to_task(k.task, SIGUSR1, siginfo_kernel(SIGUSR1));
  assert.ok((resume() as number) < 0);
  assert.is(messages.live(), 2);
  nothing_kept();
  assert.is(call('msgctl', id, 0, 0), 0);
  assert.is(messages.live(), 0);
});

test('a call that cannot read or keep its arguments fails, and nothing is left', () => {
  for (const [name, prepare] of [
    ['readv', () => [pipe()[0], poke(at, buffer(at + 64, 4)), 1]],
    ['poll', () => [poke(at, words(pipe()[0], POLLIN)), 1, -1]],
    ['select', () => [pipe()[0] + 1, poke(at, words(~0)), 0, 0, 0]],
    ['semop', () => [call('semget', 0, 1, 0o600) as number, poke(at, words(0xffff_0000, 0)), 1]],
  ] as [string, () => number[]][]) {
    let slept = false;
    for (let nth = 1; !slept; nth++) {
      setup();
      const args = prepare();
      set_faults(nth);
      const result = call(name, ...args);
      set_faults(0);
      slept = result === ASLEEP;
      assert.ok(slept || result === -ENOMEM || result === -EFAULT, `${name}, fault ${nth}: ${result}`);
      if (slept) {
        send_to_task(k.task, SIGUSR1, siginfo_kernel(SIGUSR1));
        assert.ok((resume() as number) < 0);
      }
      nothing_kept();
    }
  }
});

test.run();
